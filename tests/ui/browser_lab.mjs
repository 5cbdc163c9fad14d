// The five-node lab and a browser: every page in every form, and what a person sees when something stops. tests/ui/drive.py
// brings the lab up and says where it is: PAGE (adm1's), LAB (its name).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { close, launch, open, overflow, picture, until, violations } from "./browser.mjs";

const { PAGE, LAB } = process.env;
const lab = (...words) => execFileSync("scripts/lab", ["--name", LAB, ...words], { encoding: "utf8" });
const api = async (path) => (await fetch(PAGE + path)).json();

const PATHS = { overview: "/ui/", services: "/ui/services", service: "/ui/services/todomvc", instance: "/ui/services/todomvc/web1/todomvc", nodes: "/ui/nodes",
  node: "/ui/nodes/web1", map: "/ui/map", postgres: "/ui/postgres", keys: "/ui/kv", sessions: "/ui/sessions", servers: "/ui/servers", gossip: "/ui/gossip",
  tokens: "/ui/tokens", settings: "/ui/settings", nowhere: "/ui/no/such/page" };

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser.close(); });

describe("every page, light and dark, on a desktop and a phone, is whole and for everybody", () => {
  for (const [name, path] of Object.entries(PATHS)) {
    for (const theme of ["light", "dark"]) {
      for (const size of ["desktop", "phone"]) {
        test(`${name} ${theme} ${size}`, async () => {
          // A lab without tokens has none to list, and says so with 401 or 404.
          const page = await open(browser, PAGE + path, { size, theme, allow: (text) => /40[134]/.test(text) });
          await page.locator("main h1, main h2").first().waitFor();
          await page.waitForLoadState("networkidle", { timeout: 3000 }).catch(() => {}); // questions that wait go on
          assert.deepEqual(await violations(page), []);
          assert.equal(await overflow(page), 0, "nothing is wider than the window");
          await picture(page, `${name}-${theme}-${size}`);
          await close(page);
        });
      }
    }
  }
});

describe("what a person sees", () => {
  test("who is primary and since when, on the first page", async () => {
    const page = await open(browser, `${PAGE}/ui/`);
    const [{ Cluster }] = await api("/v1/postgres");
    const { Primary, Term } = await api(`/v1/postgres/${Cluster}`);
    const said = page.locator("main");
    await until(async () => (await said.textContent()).includes(`${Primary.Node} is primary`), "the primary is named");
    assert.match(await said.textContent(), new RegExp(`for .*term ${Term}`));
    await close(page);
  });

  test("a webapp that stops is told with why, and when it is back", async () => {
    const page = await open(browser, `${PAGE}/ui/`);
    lab("stop", "web1", "todomvc");
    await until(async () => (await api("/v1/health/state/critical")).some((check) => check.ServiceName === "todomvc"), "its check fails");
    const failed = Date.now();
    await page.locator("main", { hasText: /todomvc.*web1|web1.*todomvc/ }).waitFor();
    await until(async () => /refused|connect/i.test(await page.locator("main").textContent()), "why");
    console.log(`seen on the page ${Date.now() - failed} ms after the API told it`);
    await picture(page, "a-webapp-is-down");
    lab("start", "web1", "todomvc");
    await page.getByText("Everything is well").waitFor();
    await close(page);
  });

  test("a node that loses power is told, and its service too", async () => {
    const page = await open(browser, `${PAGE}/ui/nodes`);
    lab("kill", "web2");
    await page.locator("main", { hasText: /failed|critical/ }).waitFor();
    await page.goto(`${PAGE}/ui/`);
    await page.locator("main", { hasText: "web2" }).waitFor();
    await picture(page, "a-node-is-down");
    lab("start", "web2");
    await page.getByText("Everything is well").waitFor();
    await close(page);
  });

  test("a switchover by the page: asked, explained, done, in the history", async () => {
    const [{ Cluster }] = await api("/v1/postgres");
    const was = (await api(`/v1/postgres/${Cluster}`)).Primary.Node;
    const page = await open(browser, `${PAGE}/ui/postgres/${Cluster}`, { allow: (text) => /40[134]/.test(text) });
    await page.getByRole("button", { name: /Switch/ }).first().click();
    const dialog = page.locator("dialog[open]");
    assert.match(await dialog.textContent(), /rollcall pg switchover/, "it tells the command");
    await dialog.locator("button.primary, button.danger").last().click();
    await until(async () => {
      const { Primary } = await api(`/v1/postgres/${Cluster}`);
      return Primary?.Writable && Primary.Node !== was;
    }, "the other one is primary");
    await until(async () => !new RegExp(`${was} is primary`).test(await page.locator("main").textContent()), "the page knows");
    await picture(page, "after-a-switchover");
    await close(page);
  });
});
