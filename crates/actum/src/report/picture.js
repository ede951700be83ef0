// The moving picture: a canvas whose points are blended into its pixels by hand, because tens of
// thousands of calls of the canvas for each frame are too slow where there is no graphics card.
let [frame, playing, by, select, lasso] = [0, 0, "time", false, null];
let [chosen, any] = [new Uint8Array(n), 0];
let [zoom, middle, W, H, dpr] = [1, [32767.5, 32767.5], 1, 1, 1];
let image, pixels, ground;
let stale = true;
const box = () => ({ left: 52 * dpr, top: 10 * dpr, right: W - 12 * dpr, bottom: H - 40 * dpr });
const map = () => {
  const b = box(),
    sx = ((b.right - b.left) / 68000) * zoom,
    sy = ((b.bottom - b.top) / 68000) * zoom;
  return {
    sx,
    sy,
    ox: (b.left + b.right) / 2 - middle[0] * sx,
    oy: (b.top + b.bottom) / 2 + middle[1] * sy,
  };
};
const place = (i) => {
  const k = Math.min(frame | 0, K - 2),
    p = frame - k,
    a = k * n + i;
  return [X[a] + (X[a + n] - X[a]) * p, Y[a] + (Y[a + n] - Y[a]) * p];
};
const near = (values, i) => values[Math.round(frame) * n + i];

// Which share of a pixel a round dot of radius r covers.
const stamp = (r) => {
  const dots = [],
    reach = Math.ceil(r);
  for (let y = -reach; y <= reach; y++)
    for (let x = -reach; x <= reach; x++) {
      const cover = Math.min(Math.max(r + 0.5 - Math.hypot(x, y), 0), 1);
      if (cover > 0) dots.push(y * W + x, Math.round(255 * cover));
    }
  return { dots: Int32Array.from(dots), reach };
};
const blend = (target, b, { dots, reach }, x, y, colour, strength) => {
  x = Math.round(x);
  y = Math.round(y);
  if (x < b.left + reach || y < b.top + reach || x > b.right - reach || y > b.bottom - reach)
    return;
  const at = y * W + x,
    red = colour & 0xff00ff,
    green = colour & 0xff00;
  for (let j = 0; j < dots.length; j += 2) {
    const p = at + dots[j],
      a = (dots[j + 1] * strength) >> 8,
      old = target[p];
    const r = old & 0xff00ff,
      g = old & 0xff00;
    target[p] =
      (0xff000000 |
        (((Math.imul(red - r, a) >>> 8) + r) & 0xff00ff) |
        (((((green - g) * a) >> 8) + g) & 0xff00)) >>>
      0;
  }
};
const size = () => {
  dpr = Math.min(window.devicePixelRatio || 1, 2);
  W = canvas.width = Math.max(1, Math.round(canvas.clientWidth * dpr));
  H = canvas.height = Math.max(1, Math.round(canvas.clientHeight * dpr));
  image = pen.createImageData(W, H);
  pixels = new Uint32Array(image.data.buffer);
  ground = new Uint32Array(W * H);
  // At once: a canvas of a new size is empty until it is drawn.
  drawGround();
  draw();
};
const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const radius = () =>
  dpr * Math.min(Math.max(90 / Math.sqrt(n), 1.1), 3) * Math.min(Math.sqrt(zoom), 2.5);
// Observed points change with the view alone.
const drawGround = () => {
  const paper = pack(style("--paper")),
    { sx, sy, ox, oy } = map(),
    b = box(),
    dot = stamp(0.8 * radius());
  ground.fill((0xff000000 | paper) >>> 0);
  for (let j = 0; j < m && $("observed").checked; j++) {
    const colour = by === "label" ? colours[seenKind[j]] : along(ramp, snapshots[when[j]].place);
    blend(ground, b, dot, OX[j] * sx + ox, oy - OY[j] * sy, colour, 64);
  }
  stale = false;
};
const colourOf = (i) =>
  by === "label"
    ? colours[kind[i]]
    : by === "fate"
      ? fateColour[best[i]]
      : along(rising, near(rate, i) / 255);
const axes = (b, { sx, sy, ox, oy }) => {
  pen.font = `${11 * dpr}px system-ui, sans-serif`;
  pen.fillStyle = pen.strokeStyle = style("--faint");
  pen.lineWidth = dpr;
  pen.strokeRect(b.left, b.top, b.right - b.left, b.bottom - b.top);
  for (const axis of [0, 1]) {
    const ends = axis
      ? [(oy - b.bottom) / sy, (oy - b.top) / sy]
      : [(b.left - ox) / sx, (b.right - ox) / sx];
    const [from, to] = ends.map((q) => user(axis, q)),
      rough = (to - from) / 5;
    const power = 10 ** Math.floor(Math.log10(rough)),
      step = power * [1, 2, 5, 10].find((s) => s * power >= rough);
    for (let v = Math.ceil(from / step) * step; v <= to; v += step) {
      const q = ((v - low[axis]) / (high[axis] - low[axis])) * 65535,
        label = String(Number(v.toPrecision(6)));
      pen.textAlign = axis ? "right" : "center";
      if (axis) pen.fillText(label, b.left - 5 * dpr, oy - q * sy + 4 * dpr);
      else pen.fillText(label, q * sx + ox, b.bottom + 14 * dpr);
    }
  }
  pen.fillStyle = style("--soft");
  pen.textAlign = "center";
  pen.fillText(names[0], (b.left + b.right) / 2, b.bottom + 31 * dpr);
  pen.save();
  pen.translate(12 * dpr, (b.top + b.bottom) / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(names[1], 0, 0);
  pen.restore();
};
const line = (i, from, to, { sx, sy, ox, oy }) => {
  pen.beginPath();
  for (let f = from; ; f = Math.min(Math.floor(f) + 1, to)) {
    const k = Math.min(f | 0, K - 2),
      p = f - k,
      a = k * n + i;
    pen.lineTo((X[a] + (X[a + n] - X[a]) * p) * sx + ox, oy - (Y[a] + (Y[a + n] - Y[a]) * p) * sy);
    if (f >= to) break;
  }
  pen.stroke();
};
const draw = () => {
  if (stale) drawGround();
  pixels.set(ground);
  const v = map(),
    b = box(),
    dot = stamp(radius()),
    now = along(ramp, scene.places[Math.round(frame)]);
  const k = Math.min(frame | 0, K - 2),
    p = frame - k,
    a = k * n;
  for (let i = 0; i < n; i++) {
    const x = X[a + i] + (X[a + n + i] - X[a + i]) * p,
      y = Y[a + i] + (Y[a + n + i] - Y[a + i]) * p;
    const light = any && !chosen[i] ? 40 : scene.grows ? lights[near(mass, i)] : 220;
    blend(
      pixels,
      b,
      dot,
      x * v.sx + v.ox,
      v.oy - y * v.sy,
      by === "time" ? now : colourOf(i),
      light,
    );
  }
  pen.putImageData(image, 0, 0);
  pen.save();
  pen.beginPath();
  pen.rect(b.left, b.top, b.right - b.left, b.bottom - b.top);
  pen.clip();
  pen.lineWidth = 1.2 * dpr;
  pen.globalAlpha = 0.7;
  const every = Math.max(1, Math.ceil((any || n) / 150));
  for (let i = 0, seen = 0; i < n && (any || $("trails").checked); i++) {
    if ((any && !chosen[i]) || seen++ % every) continue;
    pen.strokeStyle = any ? style("--before") : css(now);
    line(i, any ? 0 : Math.max(0, frame - K / 6), frame, v);
    if (any) {
      pen.strokeStyle = style("--after");
      line(i, frame, K - 1, v);
    }
  }
  pen.restore();
  axes(b, v);
  if (!lasso) return;
  pen.strokeStyle = style("--ink");
  pen.beginPath();
  lasso.forEach(([x, y]) => pen.lineTo(x, y));
  pen.stroke();
};
let waiting = 0;
const again = (all = true) => {
  stale = stale || all;
  if (!waiting)
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      draw();
    });
};
