// The last hour as the page shows it.
import assert from "node:assert/strict";
import test from "node:test";

import { CELLS, density, inWords, index, ofInstance, ofService, runs, told } from "../../agent/ui/model_history.js";

const NOW = 10 * 3600000;
const before = (minutes) => NOW - minutes * 60000;
const instance = (node, state, since) => ({ node, id: "web", checks: [{ id: "http", name: "GET /", state, since }] });
const flip = (node, minutes, From, To) => ({ AtMs: before(minutes), Kind: "check", Node: node, Service: "web", ServiceID: "web", Check: "http", From, To });

test("without events a check is as it is since when it says, and before that nothing is known", () => {
  const cells = ofInstance(instance("a", "critical", before(10)), null, new Map(), NOW);
  assert.equal(cells.length, CELLS);
  assert.deepEqual([cells[40], cells[49], cells[59]], [null, null, "critical"]);
  assert.ok(ofInstance(instance("a", "passing", before(600)), null, new Map(), NOW).every((cell) => cell === "passing"));
});

test("events tell what a check was before, and a short flap is seen", () => {
  const events = index([flip("a", 30.5, "passing", "critical"), flip("a", 30.4, "critical", "passing")]);
  const cells = ofInstance(instance("a", "passing", before(30.4)), null, events, NOW);
  assert.deepEqual(cells.map((cell, i) => (cell === "critical" ? i : null)).filter((i) => i !== null), [29]);
  assert.deepEqual([cells[0], cells[28], cells[30], cells[59]], ["passing", "passing", "passing", "passing"]);
});

test("a service was down only where nothing of it could be used", () => {
  const service = { instances: [instance("a", "critical", before(20)), instance("b", "critical", before(10))] };
  const events = index([flip("a", 20, "passing", "critical"), flip("b", 10, "passing", "critical")]);
  const cells = ofService(service, new Map(), events, NOW);
  assert.deepEqual([cells[10], cells[45], cells[55]], ["passing", "warning", "critical"]);
});

test("a lost node takes its instances with it", () => {
  const events = index([{ AtMs: before(5), Kind: "failed", Node: "a", Service: "", ServiceID: "" }]);
  const cells = ofInstance(instance("a", "passing", before(600)), null, events, NOW);
  assert.deepEqual([cells[50], cells[59]], ["passing", "critical"]);
});

test("before it was registered nothing is shown", () => {
  const events = index([{ AtMs: before(30), Kind: "register", Node: "a", Service: "web", ServiceID: "web" }]);
  const cells = ofInstance({ node: "a", id: "web", checks: [] }, null, events, NOW);
  assert.deepEqual([cells[10], cells[50]], [null, "passing"]);
});

test("neighbours that are alike are one, and the hour is told in words", () => {
  const cells = [...Array(50).fill("passing"), ...Array(5).fill("critical"), ...Array(5).fill(null)];
  assert.deepEqual(runs(cells), [{ state: "passing", from: 0, to: 50 }, { state: "critical", from: 50, to: 55 }, { state: null, from: 55, to: 60 }]);
  assert.equal(inWords(cells), "last hour: critical in 5 min, 5 min not known");
  assert.equal(inWords(Array(60).fill(null)), "last hour: nothing is known");
});

test("every kind of event has words, also one that is new", () => {
  for (const Kind of ["check", "join", "leave", "failed", "reap", "register", "deregister", "promotion", "leader", "maintenance", "restart", "constructor", "new"]) {
    const { state, word } = told({ AtMs: 1, Kind, Node: "a", From: "passing", To: "critical" });
    assert.ok(["passing", "warning", "critical", "maintenance", "unknown"].includes(state) && typeof word === "string", Kind);
  }
});

test("how much happened is counted by the minute, and what is older or in the future is no harm", () => {
  const cells = density([flip("a", 0.5, "passing", "critical"), flip("a", 0.4, "critical", "passing"), flip("a", 61, "x", "y"), flip("a", -500, "x", "y")], NOW);
  assert.deepEqual(cells[59], { count: 2, state: "critical" });
  assert.equal(cells.reduce((sum, cell) => sum + cell.count, 0), 2);
});

test("maintenance is in the strip for as long as it was on", () => {
  const turn = (minutes, From, To) => ({ AtMs: before(minutes), Kind: "maintenance", Node: "a", Service: "web", ServiceID: "web", From, To });
  const events = index([turn(40, "off", "on"), turn(20, "on", "off")]);
  const cells = ofInstance(instance("a", "passing", before(600)), null, events, NOW);
  assert.deepEqual([cells[10], cells[30], cells[50]], ["passing", "maintenance", "passing"]);
  assert.equal(told(turn(20, "on", "off")).word, "in service");
});

test("before an instance's own checks are known its node's say nothing of it", () => {
  const cells = ofInstance(instance("a", "passing", before(10)), { checks: [{ id: "serfHealth", name: "s", state: "passing", since: 1 }], livenessSince: 1 }, new Map(), NOW);
  assert.deepEqual([cells[10], cells[55]], [null, "passing"]);
});

test("maintenance outweighs a failing check, a lost node outweighs maintenance", () => {
  const on = { AtMs: before(50), Kind: "maintenance", Node: "a", Service: "web", ServiceID: "web", From: "off", To: "on" };
  const lost = { AtMs: before(5), Kind: "failed", Node: "a", Service: "", ServiceID: "" };
  const cells = ofInstance(instance("a", "critical", before(40)), null, index([flip("a", 40, "passing", "critical"), on, lost]), NOW);
  assert.deepEqual([cells[5], cells[30], cells[58]], ["passing", "maintenance", "critical"]);
});

test("what a check was before its first event is not made up for the time before its node was known", () => {
  const events = index([flip("a", 1, "critical", "passing")]);
  const cells = ofInstance(instance("a", "passing", before(1)), { checks: [], livenessSince: before(5) }, events, NOW);
  assert.deepEqual([cells[50], cells[57], cells[59]], [null, "critical", "passing"]);
});

test("nothing is told of the time before the agent that is asked was there", () => {
  const events = index([{ AtMs: before(5), Kind: "failed", Node: "a", Service: "", ServiceID: "" }]);
  const cells = ofInstance(instance("a", "passing", before(600)), null, events, NOW, before(10));
  assert.deepEqual([cells[40], cells[52], cells[59]], [null, "passing", "critical"]);
});
