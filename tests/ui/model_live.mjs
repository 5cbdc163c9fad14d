// Staying up to date: one blocking query, patience when the agent is gone, nothing while nobody looks.
import assert from "node:assert/strict";
import test from "node:test";

import { Follower, Live, ask } from "../../agent/ui/live.js";

// Answers the requests in turn: [status, index, body], or "lost". The last one never comes.
function agent(t, answers) {
  const asked = [];
  t.mock.method(globalThis, "fetch", async (path, { signal, headers }) => {
    asked.push({ path, headers });
    const answer = answers.shift();
    if (answer === undefined) return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    if (answer === "lost") throw new TypeError("refused");
    const [status, index, body] = answer;
    return new Response(JSON.stringify(body), { status, headers: index ? { "X-Consul-Index": String(index) } : {} });
  });
  return asked;
}

const until = async (is) => { while (!is()) await new Promise((resolve) => setTimeout(resolve, 5)); };

test("a query blocks behind the index it knows, and tells only what is new", async (t) => {
  const heard = [];
  const asked = agent(t, [[200, 5, "a"], [200, 5, "a"], [200, 6, "b"]]);
  const follower = new Follower("/v1/x?y", { token: () => "secret", heard: ({ body }) => heard.push(body) });
  follower.start();
  await until(() => asked.length === 4);
  follower.stop();
  assert.deepEqual(heard, ["a", "b"]);
  assert.deepEqual(asked.map(({ path }) => path.replace(/&wait=.*/, "")), ["/v1/x?y", "/v1/x?y&index=5", "/v1/x?y&index=5", "/v1/x?y&index=6"]);
  assert.equal(asked[0].headers["X-Consul-Token"], "secret");
});

test("an index that goes back is asked for anew: the agent was restarted", async (t) => {
  const asked = agent(t, [[200, 50, "a"], [200, 3, "b"]]);
  const follower = new Follower("/v1/x", { heard: () => {} });
  follower.start();
  await until(() => asked.length === 3);
  follower.stop();
  assert.equal(asked[2].path, "/v1/x");
});

test("a lost agent is told at once and found again by itself", async (t) => {
  const told = [];
  agent(t, [[200, 5, "a"], "lost", "lost", [200, 5, "a"]]);
  const follower = new Follower("/v1/x", { heard: ({ body }) => told.push(body), lost: ({ kind }) => told.push(kind) });
  follower.start();
  await until(() => told.length === 4);
  follower.stop();
  assert.deepEqual(told, ["a", "lost", "lost", "a"]);
});

test("what went wrong has a kind", async (t) => {
  agent(t, [[403, 0, "no"], [404, 0, ""], [500, 0, "x"], "lost"]);
  for (const kind of ["refused", "absent", "failed", "lost"]) await assert.rejects(ask("/v1/x"), { kind });
});

test("who stops listening ends the question, and a hidden page asks nothing", async (t) => {
  const asked = agent(t, [[200, 5, "a"]]);
  const live = new Live(() => "");
  const leaving = new AbortController();
  const told = [];
  live.show(false);
  live.subscribe("/v1/x", {}, ({ value }) => told.push(value), leaving.signal);
  assert.equal(asked.length, 0);
  live.show(true);
  await until(() => asked.length === 2);
  live.subscribe("/v1/x", {}, ({ value }) => told.push(value), leaving.signal);
  assert.deepEqual([told, asked.length, live.sources.size], [["a", "a"], 2, 1]);
  leaving.abort();
  assert.equal(live.sources.size, 0);
});

test("a list that grows is asked for what came after its last, and begins anew with the agent", async (t) => {
  const heard = [];
  const asked = agent(t, [[200, 5, [{ Index: 4 }, { Index: 5 }]], [200, 6, [{ Index: 6 }]], "lost", [200, 2, [{ Index: 2 }]]]);
  const follower = new Follower("/v1/x", { grows: true, heard: ({ body }) => heard.push(body.map(({ Index }) => Index)) });
  follower.start();
  await until(() => asked.length === 5);
  follower.stop();
  assert.deepEqual(heard, [[4, 5], [4, 5, 6], [2]]);
  assert.deepEqual(asked.map(({ path }) => path), ["/v1/x", "/v1/x?index=5&wait=60s&after=5", "/v1/x?index=6&wait=60s&after=6", "/v1/x", "/v1/x?index=2&wait=60s&after=2"]);
});

test("a page that makes a mistake is reported, and the others are told all the same", async (t) => {
  agent(t, [[200, 5, "a"]]);
  const reported = t.mock.method(console, "error", () => {});
  const live = new Live(() => "");
  const leaving = new AbortController();
  const told = [];
  live.subscribe("/v1/x", {}, () => { throw new Error("a mistake"); }, leaving.signal);
  live.subscribe("/v1/x", {}, ({ value, error }) => told.push([value, error]), leaving.signal);
  await until(() => told.length === 1);
  leaving.abort();
  assert.deepEqual([told, reported.mock.callCount()], [[["a", null]], 1]);
});

test("a list that grows may be asked for regularly, without holding a connection, and tells only what is new", async (t) => {
  const heard = [];
  const asked = agent(t, [[200, 5, [{ Index: 5 }]], [200, 5, []], [200, 6, [{ Index: 6 }]]]);
  const follower = new Follower("/v1/x", { grows: true, everyMs: 5, heard: ({ body }) => heard.push(body.length) });
  follower.start();
  await until(() => asked.length === 4);
  follower.stop();
  assert.deepEqual(heard, [1, 2]);
  assert.deepEqual(asked.map(({ path }) => path), ["/v1/x", "/v1/x?after=5", "/v1/x?after=5", "/v1/x?after=6"]);
});
