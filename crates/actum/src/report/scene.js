// The numbers of the moving picture, and how they are called.
const $ = (id) => document.getElementById(id),
  root = document.documentElement;
const canvas = $("canvas"),
  pen = canvas && canvas.getContext("2d");
if (!$("scene") || !pen) return;
root.classList.add("live");
const scene = JSON.parse($("scene").textContent),
  text = atob($("points").textContent.trim());
const bytes = Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
let read = 0;
const take = (Kind, count) => {
  const part = new Kind(bytes.buffer, read, count);
  read += count * Kind.BYTES_PER_ELEMENT;
  return part;
};
// n points move through K frames; m points were observed at the times of the snapshots.
const { frames, snapshots, n, m, low, high, names } = scene,
  K = frames.length,
  L = scene.fates.length;
const X = take(Uint16Array, n * K),
  Y = take(Uint16Array, n * K);
const OX = take(Uint16Array, m),
  OY = take(Uint16Array, m),
  when = new Uint8Array(m);
const rate = take(Uint8Array, scene.grows ? n * K : 0),
  mass = take(Uint8Array, scene.grows ? n * K : 0);
const kind = take(Uint8Array, scene.label ? n : 0),
  seenKind = take(Uint8Array, scene.label ? m : 0);
const fate = take(Uint8Array, n * L),
  best = new Uint8Array(n);
for (let i = 0; i < n; i++)
  for (let l = 1; l < L; l++) if (fate[i * L + l] > fate[i * L + best[i]]) best[i] = l;
snapshots.reduce((at, s, k) => (when.fill(k, at, at + s.drawn), at + s.drawn), 0);

const pack = (hex) => parseInt(hex.slice(5, 7) + hex.slice(3, 5) + hex.slice(1, 3), 16);
const mix = (a, b, p) =>
  [0, 8, 16].reduce(
    (sum, s) => sum | (Math.round(((a >> s) & 255) * (1 - p) + ((b >> s) & 255) * p) << s),
    0,
  );
const along = (ramp, u) => {
  const at = Math.min(Math.max(u, 0), 1) * (ramp.length - 1),
    i = Math.min(at | 0, ramp.length - 2);
  return mix(ramp[i], ramp[i + 1], at - i);
};
const ramp = scene.ramp.map(pack),
  rising = scene.rising.map(pack),
  colours = scene.colours.map(pack);
const fateColour = scene.fate_colours.map((c) => colours[c]);
const css = (c) => `rgb(${c & 255},${(c >> 8) & 255},${(c >> 16) & 255})`;

// A byte of mass is 128 + 21 log2 of what has come of the point.
const grown = (byte) => 2 ** ((byte - 128) / 21);
const lights = Uint8Array.from({ length: 256 }, (_, b) =>
  Math.min(255, Math.max(14, 170 * grown(b) ** 0.6)),
);

const timeAt = (f) => {
  const k = Math.min(f | 0, K - 2);
  return frames[k] + (frames[k + 1] - frames[k]) * (f - k);
};
const short = (x) => String(Number(x.toPrecision(3))),
  percent = (p) => `${(100 * p).toFixed(p < 0.1 ? 1 : 0)} %`;
const said = (f) => {
  const s = snapshots.find((s) => Math.abs(s.frame - f) < 0.02);
  if (s) return s.said + (s.held_out ? " (held out)" : "");
  return scene.unit ? `${short(timeAt(f))} ${scene.unit}` : `time ${short(timeAt(f))}`;
};
const user = (axis, q) => low[axis] + ((high[axis] - low[axis]) * q) / 65535;
