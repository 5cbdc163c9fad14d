// What the tests of the page share: Debian's Chromium, a page whose every mistake counts, and an agent of one's own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = Number(process.env.PATIENCE ?? 4); // times slower than an idle machine
export const LATE = 15000 * PATIENCE;
export const ROLLCALL = process.env.ROLLCALL ?? "build/release/rollcall";
export const PICTURES = process.env.PICTURES ?? "build/ui";
export const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(claim, what, late = LATE) {
  const end = Date.now() + late;
  for (;;) {
    let found;
    try { found = await claim(); } catch (error) { if (Date.now() > end) throw error; }
    if (found) return found;
    assert.ok(Date.now() < end, `in vain: ${what}`);
    await pause(50);
  }
}

// A page of `url`, with the mistakes that it makes: exceptions, refusals of the policy, answers of 5xx.
export async function open(browser, url, { size = "desktop", theme = "light", allow = () => false } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, bypassCSP: false, hasTouch: size === "phone" });
  const page = await context.newPage();
  page.mistakes = [];
  page.on("pageerror", (error) => page.mistakes.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !allow(text)) page.mistakes.push(text);
  });
  page.setDefaultTimeout(LATE);
  await page.goto(url);
  await page.locator("#freshness", { hasText: "Live" }).waitFor();
  return page;
}

export async function close(page) {
  const mistakes = [...page.mistakes];
  await page.context().close();
  assert.deepEqual(mistakes, [], "the page made no mistake");
}

// axe-core's findings, each with where. It is evaluated by the driver, so that the page's policy stays as it is.
export async function violations(page) {
  await page.evaluate(AXE);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")} (${found.help})`);
}

export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

export async function picture(page, name) {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

export const freePort = () => new Promise((resolve) => {
  const server = createServer();
  server.listen(0, "127.0.0.1", () => { const { port } = server.address(); server.close(() => resolve(port)); });
});

// A lone agent; `settings` is its configuration, in JSON.
export class Agent {
  constructor(settings = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "rollcall-ui."));
    this.settings = settings;
  }

  async start() {
    this.port ??= await freePort();
    this.gossip ??= await freePort();
    this.dns ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    writeFileSync(join(this.folder, "agent.json"), JSON.stringify({ node_name: "one", bind_addr: "127.0.0.1", data_dir: join(this.folder, "data"), server: true,
      ports: { http: this.port, dns: this.dns, serf_lan: this.gossip, server: -1 }, ...this.settings }));
    this.process = spawn(ROLLCALL, ["agent", `-config-file=${join(this.folder, "agent.json")}`], { stdio: ["ignore", "ignore", "inherit"] });
    await until(async () => (await this.get("/v1/agent/self")).status === 200, "the agent answers");
    return this;
  }

  get(path) { return fetch(this.url + path); }

  async put(path, body) {
    const answer = await fetch(this.url + path, { method: "PUT", body: typeof body === "string" ? body : JSON.stringify(body) });
    assert.equal(answer.status, 200, `${path}: ${answer.status} ${await answer.clone().text()}`);
  }

  async kill() {
    const ended = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.kill("SIGKILL");
    await ended;
  }

  async end() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
