// Opens reports in a real browser, without a network, and does what a person does with them.
// node check.mjs ACTUM FOLDER: the program, and a folder with what `prepare` of .ci/run made.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [program, folder] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const at = (name) => pathToFileURL(path.resolve(folder, name)).href;
let held = 0;
const holds = (what) => {
  held += 1;
  console.log(`  ${what}`);
};

// A page that fails on errors, and on any request but that for itself.
async function open(name, options = {}, before = null) {
  const size = { width: 1280, height: 900 };
  const context = await browser.newContext({ viewport: size, offline: true, ...options });
  const page = await context.newPage();
  page.wrong = [];
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type())) page.wrong.push(said.text());
  });
  page.on("pageerror", (error) => page.wrong.push(error.message));
  page.on("request", (request) => {
    const url = request.url();
    if (url !== at(name) && !/^(data|blob):/.test(url)) page.wrong.push(`asks for ${url}`);
  });
  if (before) await page.addInitScript(before);
  await page.goto(at(name));
  await page.waitForTimeout(300);
  return page;
}
const close = async (page) => {
  assert.deepEqual(page.wrong, []);
  await page.context().close();
};
const pixels = (page) =>
  page.evaluate(async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const canvas = document.getElementById("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + 7 * data[i + 1]) % 1e9;
    return sum;
  });
const value = (page) => page.locator("#time").inputValue();

// The slider, play and the keyboard.
let page = await open("demo.html");
assert.equal(await page.locator(".summary li").count(), 3);
const start = await pixels(page);
await page.locator("#time").fill("500");
const middle = await pixels(page);
assert.notEqual(start, middle);
holds("the slider moves the points");
await page.locator("#time").focus();
await page.keyboard.press("ArrowRight");
assert.equal(await value(page), "501");
await page.locator("#canvas").focus();
const near = await pixels(page);
await page.keyboard.press("+");
assert.notEqual(near, await pixels(page));
await page.keyboard.press("0");
assert.equal(near, await pixels(page));
holds("keys move the slider and the view");
await page.locator("#play").click();
const end = { timeout: 60_000 };
await page.waitForFunction(() => document.getElementById("time").value === "1000", null, end);
await page.waitForFunction(
  () => document.getElementById("play").getAttribute("aria-pressed") === "false",
);
assert.equal(await page.locator("#play").textContent(), "Play");
holds("play stops at the end");
const time = await page.locator("#now").textContent();
await page.locator("#marks button").first().click();
assert.equal(await value(page), "0");
assert.notEqual(await page.locator("#now").textContent(), time);
holds("marks lead to snapshots");

// A selection.
await page.locator("#lasso").click();
const box = await page.locator("#canvas").boundingBox();
await page.mouse.move(box.x + 53, box.y + 11);
await page.mouse.down();
for (const [x, y] of [
  [1, 0],
  [1, 1],
  [0, 1],
])
  await page.mouse.move(box.x + 53 + x * (box.width - 66), box.y + 11 + y * (box.height - 52));
await page.mouse.up();
assert.match(await page.locator("#selection").textContent(), /(\d+) of \1 points are selected/);
await page.locator("#drop").click();
assert.equal(await page.locator("#selection").textContent(), "");
holds("a lasso selects points");
await page.mouse.move(box.x + 10, box.y + 10);
let shown = false;
for (let x = 60; x < box.width && !shown; x += 12) {
  await page.mouse.move(box.x + x, box.y + box.height / 2);
  shown = await page.locator("#tip").isVisible();
}
assert.ok(shown);
holds("a point says what it is");

// Files inside of the page.
const [file] = await Promise.all([
  page.waitForEvent("download"),
  page.locator("a[download$='.tsv']").first().click(),
]);
const rows = fs.readFileSync(await file.path(), "utf8").trimEnd().split("\n");
const table = page.locator("table").first();
assert.equal(rows.length, await table.locator("tr").count());
assert.equal(rows[0].split("\t").length, await table.locator("thead th").count());
const [json] = await Promise.all([
  page.waitForEvent("download"),
  page.locator("a[download$='.json']").first().click(),
]);
const parsed = JSON.parse(fs.readFileSync(await json.path(), "utf8"));
assert.equal(parsed.rows.length, rows.length - 1);
assert.equal(parsed.rows[0][1], Number(rows[1].split("\t")[1]));
holds("tables are downloaded as TSV and JSON");

// What a page from elsewhere could do.
const refused = await page.evaluate(
  () =>
    new Promise((done) => {
      document.addEventListener("securitypolicyviolation", (event) => done(event.blockedURI));
      const image = new Image();
      image.src = "http://127.0.0.1:9/x.png";
      setTimeout(() => done("nothing"), 3000);
    }),
);
assert.match(refused, /127\.0\.0\.1/);
page.wrong.length = 0;
await close(page);
holds("the policy forbids what is outside");

// Every size, dark and light, and nothing wider than the page.
for (const name of ["demo.html", "labels.html", "digits.html", "super.html"])
  for (const width of [1280, 390])
    for (const colorScheme of ["light", "dark"]) {
      page = await open(name, { viewport: { width, height: 844 }, colorScheme });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${name} is ${wide} wide at ${width}`);
      const picture = `${name.replace(".html", "")}-${width}-${colorScheme}.png`;
      await page.screenshot({ path: path.join(folder, picture), fullPage: true });
      await close(page);
    }
holds("pages fit a desk and a phone, dark and light");

// Labels that are programs.
page = await open("labels.html");
assert.equal(await page.evaluate(() => window.ran), undefined);
assert.match(await page.locator("#legend").textContent(), /<script>window\.ran/);
await page.locator("#colour").selectOption("fate");
await page.locator("#legend button").first().click();
assert.match(await page.locator("#selection").textContent(), /They go to: /);
assert.match(await page.locator("body").innerText(), /<img src=x/);
assert.equal(await page.locator("img").count(), 0);
await close(page);
holds("text of the data is shown and never run");

// Where nothing can move: a drawing for each of the six times of the demo.
const still = async (page) => {
  const drawings = await page.locator(".still figure").all();
  assert.equal(drawings.length, 6);
  for (const drawing of drawings) assert.ok(await drawing.isVisible());
};
page = await open("demo.html", { javaScriptEnabled: false });
await still(page);
assert.ok(!(await page.locator("#canvas").isVisible()));
await close(page);
page = await open("demo.html", {}, () => {
  HTMLCanvasElement.prototype.getContext = () => null;
});
await still(page);
await close(page);
page = await open("demo.html");
await page.emulateMedia({ media: "print" });
await still(page);
assert.ok(!(await page.locator("#canvas").isVisible()));
await close(page);
holds("drawings stand where there is no script, no canvas, or paper");

// Without motion the picture goes from snapshot to snapshot.
page = await open("demo.html", { reducedMotion: "reduce" });
await page.locator("#play").click();
const places = new Set();
for (let i = 0; i < 60 && (await value(page)) !== "1000"; i += 1) {
  places.add(await value(page));
  await page.waitForTimeout(250);
}
assert.equal(await value(page), "1000");
assert.ok(places.size <= (await page.locator("#marks button").count()), [...places].join(" "));
await close(page);
holds("those who want no motion see steps");

// Images.
page = await open("super.html");
const cut = () => page.locator(".over").first().evaluate((over) => over.style.clipPath);
const whole = await cut();
await page.locator(".compare input").first().fill("10");
assert.notEqual(whole, await cut());
await close(page);
page = await open("digits.html");
const loaded = await page.locator("img").evaluateAll((all) => all.map((i) => i.naturalWidth));
assert.ok(loaded.length >= 2 && loaded.every((width) => width > 100), String(loaded));
await close(page);
holds("images are there, before and after");

// The server: its page, and nothing else.
const server = spawn(program, ["view", path.join(folder, "run"), "--json"]);
let answer = "";
await new Promise((done) => {
  server.stdout.on("data", (part) => {
    answer += part;
    if (answer.includes("}")) done();
  });
});
const { address } = JSON.parse(answer);
assert.match(address, /^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/$/);
const status = (url, headers = {}) =>
  new Promise((done, failed) =>
    http
      .get(url, { headers }, (got) => {
        got.resume();
        done(got.statusCode);
      })
      .on("error", failed),
  );
const root = new URL("/", address).href;
assert.equal(await status(address), 200);
assert.equal(await status(`${address}state`), 200);
assert.equal(await status(root), 404);
assert.equal(await status(`${root}${"0".repeat(32)}/`), 404);
assert.equal(await status(`${address}../../etc/passwd`), 404);
assert.equal(await status(address, { Host: "elsewhere.example" }), 400);
const context = await browser.newContext();
page = await context.newPage();
await page.goto(address);
await page.locator("#time").fill("300");
assert.equal(await page.locator(".summary li").count(), 3);
await context.close();
server.kill();
holds("the server shows the report to those who know its address");

await browser.close();
console.log(`${held} passed, 0 failed`);
