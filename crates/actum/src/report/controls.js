// What a person does with the moving picture.
const rowOf = (i) => (scene.rows.length ? scene.rows[i] : i);
const slider = $("time"),
  play = $("play"),
  still = matchMedia("(prefers-reduced-motion: reduce)");
const STEPS = 1000,
  SECONDS = 9;
const show = (f, spoken = false) => {
  frame = Math.min(Math.max(f, 0), K - 1);
  slider.value = String(Math.round((frame / (K - 1)) * STEPS));
  slider.setAttribute("aria-valuetext", said(frame));
  $("now").textContent = said(frame);
  if (spoken) tell();
  again(false);
};
const stop = () => {
  cancelAnimationFrame(playing);
  playing = 0;
  play.textContent = "Play";
  play.setAttribute("aria-pressed", "false");
};
play.addEventListener("click", () => {
  if (playing) return stop();
  if (frame >= K - 1.01) show(0);
  play.textContent = "Stop";
  play.setAttribute("aria-pressed", "true");
  let last = performance.now();
  const step = (time) => {
    const wait = (time - last) / 1000;
    if (!still.matches) {
      show(frame + (wait * (K - 1)) / SECONDS);
      last = time;
    } else if (wait > 1) {
      // Without motion: from one snapshot to the next.
      show((snapshots.find((s) => s.frame > frame + 0.01) || { frame: K - 1 }).frame);
      last = time;
    }
    if (frame >= K - 1) {
      stop();
      tell();
    } else playing = requestAnimationFrame(step);
  };
  playing = requestAnimationFrame(step);
});
slider.max = String(STEPS);
slider.addEventListener("input", () => {
  stop();
  show((Number(slider.value) / STEPS) * (K - 1), true);
});
for (const s of snapshots)
  if (s.frame >= 0) {
    const mark = document.createElement("button");
    mark.type = "button";
    mark.textContent = s.label;
    mark.title = `${s.label}: ${s.count} points${s.held_out ? ", which the fit did not see" : ""}`;
    if (s.held_out) mark.className = "held";
    mark.addEventListener("click", () => {
      stop();
      show(s.frame, true);
    });
    $("marks").append(mark);
  }

// Colours, with a legend whose entries select points.
const legend = () => {
  const place = $("legend");
  place.replaceChildren();
  const entry = (colour, name, pick) => {
    const item = document.createElement(pick ? "button" : "span"),
      dot = document.createElement("i");
    dot.style.background = css(colour);
    item.append(dot, name);
    if (pick) {
      item.type = "button";
      item.addEventListener("click", () => choose(pick));
    }
    place.append(item);
  };
  if (by === "time") for (const s of snapshots) entry(along(ramp, s.place), s.label);
  if (by === "label")
    scene.label.classes.forEach((name, c) => entry(colours[c], name, (i) => kind[i] === c));
  if (by === "fate")
    scene.fates.forEach((name, l) => entry(fateColour[l], name, (i) => best[i] === l));
  if (by === "growth")
    for (const u of [0, 0.5, 1])
      entry(along(rising, u), `${short((2 * u - 1) * scene.rate)} ${scene.rate_unit}`);
};
const colour = $("colour");
colour.addEventListener("change", () => {
  by = colour.value;
  legend();
  again();
});
for (const box of ["observed", "trails"]) $(box).addEventListener("change", () => again());

// A selection: where its points come from, and where they go.
const shares = (of, weight) => {
  const sums = new Map();
  let all = 0;
  for (let i = 0; i < n; i++)
    if (chosen[i]) {
      const w = weight(i);
      all += w;
      for (const [name, part] of of(i)) sums.set(name, (sums.get(name) || 0) + w * part);
    }
  const rows = [...sums].filter(([, s]) => s > 0.005 * all).sort((a, b) => b[1] - a[1]);
  return rows.map(([name, s]) => `${name} ${percent(s / all)}`).join(", ");
};
const first = (i) => (scene.weights.length ? scene.weights[i] : 1);
const last = (i) => (scene.grows ? grown(mass[(K - 1) * n + i]) : 1) * first(i);
const tell = () => {
  const place = $("selection");
  if (!any) {
    place.textContent = "";
    $("drop").hidden = $("keep").hidden = true;
    return;
  }
  const lines = [`${any} of ${n} points are selected.`];
  const before = scene.label && shares((i) => [[scene.label.classes[kind[i]], 1]], first);
  if (before)
    lines.push(
      `They come from (${scene.label.name} at ${snapshots[scene.first].label}): ${before}.`,
    );
  if (L) {
    const fates = (i) => scene.fates.map((name, l) => [name, fate[i * L + l] / 255]);
    lines.push(`They go to: ${shares(fates, last)}.`);
  }
  if (scene.grows) {
    let from = 0,
      to = 0;
    for (let i = 0; i < n; i++)
      if (chosen[i]) {
        from += first(i);
        to += last(i);
      }
    lines.push(`Their mass becomes ${short(to / from)} times what it was.`);
  }
  lines.push("Lines show where each was before and where it goes.");
  place.textContent = lines.join(" ");
  $("drop").hidden = $("keep").hidden = false;
};
const choose = (those) => {
  any = 0;
  for (let i = 0; i < n; i++) any += chosen[i] = those(i) ? 1 : 0;
  tell();
  again(false);
};
$("drop").addEventListener("click", () => choose(() => false));
$("keep").addEventListener("click", () => {
  const head = [
    "point",
    "time",
    names[0],
    names[1],
    ...(scene.label ? [scene.label.name] : []),
    ...scene.fates.map((f) => `to ${f}`),
  ];
  const clean = (cell) => String(cell).replace(/[\t\r\n]/g, " ");
  const rows = [head];
  for (let i = 0; i < n; i++)
    if (chosen[i]) {
      const [x, y] = place(i),
        more = scene.label ? [scene.label.classes[kind[i]]] : [];
      const ends = scene.fates.map((_, l) => (fate[i * L + l] / 255).toFixed(3));
      rows.push([rowOf(i), timeAt(frame), user(0, x), user(1, y), ...more, ...ends]);
    }
  const file = new Blob([rows.map((row) => row.map(clean).join("\t")).join("\n") + "\n"]);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "selection.tsv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
const within = (polygon, x, y) => {
  let inside = false;
  polygon.forEach(([ax, ay], i) => {
    const [bx, by] = polygon[(i || polygon.length) - 1];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  });
  return inside;
};

// Moving the view, drawing around points, and asking what a point is.
const zoomBy = (factor, x = W / 2, y = H / 2) => {
  const { sx, sy, ox, oy } = map(),
    next = Math.min(Math.max(zoom * factor, 0.5), 60),
    f = zoom / next;
  const [qx, qy] = [(x - ox) / sx, (oy - y) / sy];
  middle = [qx + (middle[0] - qx) * f, qy + (middle[1] - qy) * f];
  zoom = next;
  again();
};
const moveBy = (dx, dy) => {
  const { sx, sy } = map();
  middle = [middle[0] - dx / sx, middle[1] + dy / sy];
  again();
};
const whole = () => {
  zoom = 1;
  middle = [32767.5, 32767.5];
  again();
};
$("nearer").addEventListener("click", () => zoomBy(1.5));
$("farther").addEventListener("click", () => zoomBy(1 / 1.5));
$("whole").addEventListener("click", whole);
const lassoing = $("lasso");
lassoing.addEventListener("click", () => {
  select = !select;
  lassoing.setAttribute("aria-pressed", String(select));
  canvas.classList.toggle("selects", select);
});
const at = (event) => {
  const r = canvas.getBoundingClientRect();
  return [(event.clientX - r.left) * dpr, (event.clientY - r.top) * dpr];
};
let held = null;
canvas.addEventListener("pointerdown", (event) => {
  held = at(event);
  canvas.setPointerCapture(event.pointerId);
  if (select || event.shiftKey) lasso = [held];
});
canvas.addEventListener("pointermove", (event) => {
  const [x, y] = at(event);
  if (!held) return hover(x, y, event);
  if (lasso) {
    lasso.push([x, y]);
    again(false);
  } else {
    moveBy(x - held[0], y - held[1]);
    held = [x, y];
  }
});
const release = () => {
  held = null;
  const drawn = lasso;
  lasso = null;
  if (drawn && drawn.length > 2) {
    const { sx, sy, ox, oy } = map();
    choose((i) => {
      const [x, y] = place(i);
      return within(drawn, x * sx + ox, oy - y * sy);
    });
  }
};
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 300), ...at(event));
  },
  { passive: false },
);
canvas.addEventListener("keydown", (event) => {
  const d = 40 * dpr,
    moves = { ArrowLeft: [d, 0], ArrowRight: [-d, 0], ArrowUp: [0, d], ArrowDown: [0, -d] };
  if (moves[event.key]) moveBy(...moves[event.key]);
  else if (event.key === "+" || event.key === "=") zoomBy(1.3);
  else if (event.key === "-") zoomBy(1 / 1.3);
  else if (event.key === "0") whole();
  else if (event.key === "Escape") choose(() => false);
  else if (event.key === " ") play.click();
  else return;
  event.preventDefault();
});
const tip = $("tip");
const hover = (px, py, event) => {
  const { sx, sy, ox, oy } = map(),
    reach = (8 * dpr) ** 2;
  let nearest = reach,
    lines = null;
  const look = (x, y, say) => {
    const d = (x * sx + ox - px) ** 2 + (oy - y * sy - py) ** 2;
    if (d < nearest) {
      nearest = d;
      lines = say(x, y);
    }
  };
  for (let j = 0; j < m && $("observed").checked; j++)
    look(OX[j], OY[j], (x, y) => [
      `observed at ${snapshots[when[j]].label}`,
      [x, y],
      scene.label && scene.label.classes[seenKind[j]],
    ]);
  for (let i = 0; i < n; i++) {
    const [x, y] = place(i);
    look(x, y, (x, y) => [
      `point ${rowOf(i)} of ${snapshots[scene.first].label}, now at ${said(frame)}`,
      [x, y],
      scene.label && `was ${scene.label.classes[kind[i]]}`,
      L && `goes to ${scene.fates[best[i]]} (${percent(fate[i * L + best[i]] / 255)})`,
      scene.grows && `its mass is ${short(grown(near(mass, i)))} times what it was`,
    ]);
  }
  tip.hidden = !lines;
  if (!lines) return;
  lines[1] = [0, 1].map((axis) => `${names[axis]} ${short(user(axis, lines[1][axis]))}`).join(", ");
  tip.textContent = lines.filter(Boolean).join("\n");
  const wide = canvas.clientWidth,
    x = event.offsetX;
  tip.style.left = `${Math.min(x + 12, Math.max(0, wide - 240))}px`;
  tip.style.top = `${event.offsetY + 14}px`;
};
canvas.addEventListener("pointerleave", () => {
  tip.hidden = true;
});
new ResizeObserver(size).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => again());
if (scene.label) by = "label";
colour.value = by;
legend();
size();
show(0);
