// Pictures before and after, one above the other, with a slider between them.
for (const box of document.querySelectorAll(".compare")) {
  const slider = box.querySelector("input"),
    over = box.querySelector(".over");
  const cut = () => {
    over.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
  };
  box.classList.add("live");
  slider.addEventListener("input", cut);
  cut();
}
// A page that a running fit is followed on.
if (document.documentElement.dataset.follows) {
  const place = document.getElementById("progress");
  const ask = async () => {
    try {
      const told = await (await fetch("state")).json();
      if (told.finished) return location.reload();
      place.innerHTML = told.html;
    } catch {
      place.textContent = "The program that shows this page has ended.";
      return;
    }
    setTimeout(ask, 2000);
  };
  ask();
}
