// One agent and a browser: names that want to be markup, an agent that goes and comes, 10,000 instances, keys, keyboard.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Agent, close, launch, open, overflow, picture, until, violations } from "./browser.mjs";

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser.close(); });

const HOSTILE = [
  { name: "<img src=x onerror=window.hurt=1>", output: "<script>window.hurt=1</script>" },
  { name: "\"><svg onload=window.hurt=1>", output: "</pre><b id=hurt>" },
  { name: "javascript:window.hurt=1", output: "\u202etxt.exe\u202c \u0007" },
  { name: "a/b?c#d&e=%2F", output: "x".repeat(4000) },
  { name: "n".repeat(200), output: "" },
  { name: "__proto__", output: "constructor" },
];

describe("hostile names", () => {
  let agent;
  before(async () => {
    agent = await new Agent().start();
    for (const [i, { name, output }] of HOSTILE.entries()) {
      await agent.put("/v1/agent/service/register", { Name: name, ID: `${name}-${i}`, Tags: [name], Meta: { why: name }, Address: "127.0.0.1", Port: 80 + i,
        Check: { CheckID: `c${i}`, Name: name, TTL: "1h", Status: "critical" } });
      await agent.put(`/v1/agent/check/update/c${i}`, { Status: "critical", Output: output });
    }
    await agent.put(`/v1/kv/${encodeURIComponent("<img src=x onerror=window.hurt=1>/k")}`, "<script>window.hurt=1</script>");
  });
  after(() => agent.end());

  for (const path of ["/ui/", "/ui/services", "/ui/nodes/one", "/ui/kv", "/ui/sessions"]) {
    test(`are text on ${path}`, async () => {
      const page = await open(browser, agent.url + path);
      if (path === "/ui/services") await page.getByText(HOSTILE[0].name).first().waitFor();
      assert.equal(await page.evaluate(() => window.hurt ?? document.getElementById("hurt")), null);
      assert.equal(await page.locator("main img, main script, main svg[onload]").count(), 0);
      assert.equal(await overflow(page), 0, "nothing is wider than the window");
      await close(page);
    });
  }

  test("have pages of their own, which say them", async () => {
    for (const { name } of HOSTILE) {
      const page = await open(browser, `${agent.url}/ui/services/${encodeURIComponent(name)}`);
      await until(async () => (await page.locator("main").textContent()).includes("critical"), `the page of ${name}`);
      assert.equal(await page.evaluate(() => window.hurt ?? null), null);
      await close(page);
    }
  });

  test("are found by the filter, and a mistake in it is said", async () => {
    const page = await open(browser, `${agent.url}/ui/services`);
    const filter = page.locator("main input[type=search]");
    await filter.fill("port:82");
    await until(async () => (await page.locator("main").textContent()).includes("javascript:window.hurt=1")
      && !(await page.locator("main").textContent()).includes(HOSTILE[5].name), "only the one at port 82");
    await filter.fill("/[/");
    await page.locator("main [role=alert], main .trouble").first().waitFor();
    await close(page);
  });
});

test("an agent that goes is told, and heals by itself", async () => {
  const agent = await new Agent().start();
  try {
    const page = await open(browser, `${agent.url}/ui/`, { allow: (text) => /ERR_CONNECTION|ERR_EMPTY|Failed to load/.test(text) });
    await agent.kill();
    await page.locator("#freshness.lost", { hasText: "No answer from the agent" }).waitFor();
    await agent.start();
    await page.locator("#freshness:not(.lost)", { hasText: "Live" }).waitFor();
    await close(page);
  } finally {
    await agent.end();
  }
});

test("another site's page cannot read the agent through a name of its own", async () => {
  const agent = await new Agent().start();
  try {
    const { request } = await import("node:http");
    const status = await new Promise((resolve, reject) => {
      request({ host: "127.0.0.1", port: agent.port, path: "/v1/agent/self", headers: { Host: "rebound.example.org" } }, (answer) => resolve(answer.statusCode))
        .on("error", reject).end();
    });
    assert.equal(status, 403);
  } finally {
    await agent.end();
  }
});

test("a key is created, read, changed and deleted", async () => {
  const agent = await new Agent().start();
  try {
    const page = await open(browser, `${agent.url}/ui/kv`, { allow: (text) => /404/.test(text) });
    await page.getByText("Create a key").click();
    await page.locator("form.editor input").fill("app/colour");
    await page.locator("form.editor textarea").fill("green");
    await page.locator("form.editor button[type=submit]").click();
    await page.locator("dialog button.primary, dialog button.danger").first().click();
    await until(async () => (await agent.get("/v1/kv/app/colour?raw")).status === 200, "the key is there");
    assert.equal(await (await agent.get("/v1/kv/app/colour?raw")).text(), "green");
    await page.goto(`${agent.url}/ui/kv/app/colour`);
    await page.getByText("green").first().waitFor();
    await close(page);
  } finally {
    await agent.end();
  }
});

test("maintenance is asked for, explained, done and undone, but not of the last healthy instance", async () => {
  const agent = await new Agent().start();
  try {
    await agent.put("/v1/agent/service/register", { Name: "web", Address: "127.0.0.1", Port: 80, Check: { TTL: "1h", Status: "passing" } });
    const page = await open(browser, `${agent.url}/ui/services/web/one/web`, { allow: (text) => /409/.test(text) });
    const inMaintenance = async () => JSON.stringify(await (await agent.get("/v1/agent/checks")).json()).includes("_service_maintenance:web");
    await page.getByRole("button", { name: "Maintenance on" }).click();
    await page.locator("dialog[open] button.danger").last().click();
    await page.locator("dialog[open]", { hasText: /last|healthy/ }).waitFor();
    assert.equal(await inMaintenance(), false, "nobody would be left");
    await page.keyboard.press("Escape");
    await agent.put("/v1/agent/service/register", { Name: "web", ID: "web-2", Address: "127.0.0.1", Port: 81, Check: { TTL: "1h", Status: "passing" } });
    for (const [label, wanted] of [["Maintenance on", true], ["Maintenance off", false]]) {
      await page.getByRole("button", { name: label }).click();
      const dialog = page.locator("dialog[open]");
      assert.match(await dialog.textContent(), /rollcall maint/, "it tells the command");
      await dialog.locator("button.primary, button.danger").last().click();
      await until(async () => await inMaintenance() === wanted, label);
    }
    await close(page);
  } finally {
    await agent.end();
  }
});

test("everything is reached by keyboard", async () => {
  const agent = await new Agent().start();
  try {
    await agent.put("/v1/agent/service/register", { Name: "web", Port: 80 });
    const page = await open(browser, `${agent.url}/ui/`);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
    const press = async (name) => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press("Tab");
        const focus = await page.evaluate(() => {
          const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
          return { text: document.activeElement.textContent.trim(), seen: (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none" };
        });
        assert.ok(focus.seen, `one sees where one is: ${focus.text}`);
        if (focus.text.startsWith(name)) return page.keyboard.press("Enter");
      }
      throw new Error(`Tab never comes to ${name}`);
    };
    await press("Services");
    await page.waitForURL("**/ui/services");
    await page.locator("main input[type=search]").waitFor();
    await press("web");
    await page.waitForURL("**/ui/services/web");
    await close(page);
  } finally {
    await agent.end();
  }
});

describe("10,000 instances", () => {
  let agent;
  before(async () => {
    const services = [];
    for (let s = 0; s < 1000; s++) for (let i = 0; i < 10; i++) services.push({ name: `service-${s}`, id: `service-${s}-${i}`, address: `10.${i}.${s >> 8}.${s & 255}`, port: 8000 + i });
    agent = await new Agent({ services }).start();
    await until(async () => Object.keys(await (await agent.get("/v1/agent/services")).json()).length === 10000, "all are registered");
  });
  after(() => agent.end());

  test("are listed without a row for each, filtered and followed", async () => {
    const page = await open(browser, `${agent.url}/ui/services`);
    await until(async () => /1,?000/.test(await page.locator("main").textContent()), "all are counted");
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(elements < 5000, `${elements} elements`);
    await page.evaluate(() => {
      window.longest = 0;
      new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration); }).observe({ type: "longtask" });
    });
    await agent.put("/v1/agent/service/register", { Name: "service-newcomer", Address: "10.0.0.1", Port: 1 });
    await page.locator("main input[type=search]").fill("newcomer");
    await page.getByText("service-newcomer").first().waitFor();
    console.log(`longest task of the page with 10,001 instances: ${await page.evaluate(() => Math.round(window.longest))} ms`);
    await close(page);
  });

  test("leave the page whole for axe and a phone", async () => {
    const page = await open(browser, `${agent.url}/ui/services`, { size: "phone" });
    assert.deepEqual(await violations(page), []);
    assert.equal(await overflow(page), 0);
    await picture(page, "services-10000-phone");
    await close(page);
  });
});
