// What the status page makes of the API's objects: make ui-unit
import assert from "node:assert/strict";
import test from "node:test";

import { Stable, troubleOf } from "../../agent/ui/answer.js";
import * as actions from "../../agent/ui/model_actions.js";
import { parse } from "../../agent/ui/filter.js";
import { flatten } from "../../agent/ui/model.js";
import * as keys from "../../agent/ui/model_keys.js";
import * as nodes from "../../agent/ui/model_nodes.js";
import * as postgres from "../../agent/ui/model_postgres.js";
import * as rtt from "../../agent/ui/model_rtt.js";

const coord = (vec, height = 0, adjustment = 0) => ({ Vec: [...vec, 0, 0, 0, 0, 0, 0, 0, 0].slice(0, 8), Height: height, Adjustment: adjustment, Error: 0.1 });

test("a round trip is the vectors' distance, both heights and both adjustments, in ms", () => {
  assert.ok(Math.abs(rtt.distance(coord([0.003], 0.001, 0.0005), coord([0, 0.004], 0.002, 0.0005)) - 9) < 1e-9);
});

test("an adjustment never makes a round trip negative", () => {
  assert.equal(rtt.distance(coord([0.001], 0, -1), coord([0], 0, -1)), 1);
});

test("the slowest node comes first, and its neighbours are not blamed for it", () => {
  const list = ["a", "b", "c", "d"].map((Node, i) => ({ Node, Coord: coord([i === 3 ? 0.05 : i * 0.0001]) }));
  const found = rtt.times(list, "a");
  assert.equal(found[0].node, "d");
  assert.ok(found[0].typical > 49 && found[1].typical < 1, JSON.stringify(found));
  assert.equal(found.find((t) => t.node === "a").from, 0);
});

test("times from a node that is not known are not made up", () => {
  assert.equal(rtt.times([{ Node: "a", Coord: coord([0]) }], "gone")[0].from, null);
});

test("two axes keep distances of points that lie in a plane, whatever plane it is", () => {
  const u = [0.5, 0.5, 0.5, 0.5];
  const v = [0.5, -0.5, 0.5, -0.5];
  const at = (x, y) => coord(u.map((c, i) => c * x + v[i] * y));
  const list = [[0, 0], [0.01, 0], [0, 0.02], [0.013, 0.007]].map(([x, y], i) => ({ Node: `n${i}`, Coord: at(x, y) }));
  const { points, kept } = rtt.project(list);
  assert.ok(kept > 0.999999);
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j < i; j++) {
      const flat = Math.hypot(points[i].x - points[j].x, points[i].y - points[j].y);
      assert.ok(Math.abs(flat - rtt.distance(list[i].Coord, list[j].Coord)) < 1e-6);
    }
  }
});

test("the same coordinates give the same picture, in whatever order they come", () => {
  const list = Array.from({ length: 9 }, (_, i) => ({ Node: `n${i}`, Coord: coord([Math.sin(i), Math.cos(i * 3), i % 4].map((x) => x / 100)) }));
  const one = new Map(rtt.project(list).points.map((p) => [p.node, p]));
  for (const p of rtt.project([...list].reverse()).points) {
    assert.ok(Math.abs(p.x - one.get(p.node).x) < 1e-6 && Math.abs(p.y - one.get(p.node).y) < 1e-6);
  }
});

test("nothing, one node, and all at one place are pictures too", () => {
  assert.deepEqual(rtt.project([]).points, []);
  for (const count of [1, 3]) {
    const { points } = rtt.project(Array.from({ length: count }, (_, i) => ({ Node: `${i}`, Coord: coord([0]) })));
    assert.ok(points.every((p) => Number.isFinite(p.x) && Number.isFinite(p.y)));
  }
});

test("a scale is 1, 2 or 5 of a power of ten", () => {
  assert.deepEqual([0.37, 1, 4.9, 57, 0].map(rtt.round), [0.2, 1, 2, 50, 1]);
});

test("folders come before keys, and the folder itself is no key in it", () => {
  assert.deepEqual(keys.children(["a/", "a/x", "a/b/", "a/c"], "a/").map((c) => c.name), ["b/", "c", "x"]);
});

test("the way to a key is a trail of its folders", () => {
  assert.deepEqual(keys.trail("a/b/c"), [{ name: "a/", path: "a/" }, { name: "b/", path: "a/b/" }, { name: "c", path: "a/b/c" }]);
  assert.deepEqual(keys.trail(""), []);
  assert.equal(keys.parent("a/b/c"), "a/b/");
  assert.equal(keys.parent("a/b/"), "a/");
  assert.equal(keys.parent("a"), "");
});

test("a value is JSON, text or bytes by what it holds", () => {
  const kind = (text) => keys.valueOf(typeof text === "string" ? new TextEncoder().encode(text) : Uint8Array.from(text)).kind;
  assert.deepEqual(['{"a":1}', "[1", "42", "grüße\n", "", [0xff, 0xfe], [0x61, 0]].map(kind),
    ["json", "text", "text", "text", "empty", "binary", "binary"]);
});

test("bytes are shown as offset, digits and signs, and no more than a part of many", () => {
  assert.equal(keys.hex(Uint8Array.from([0x41, 0, 0x3c])), "00000000  41 00 3c                                          A·<");
  assert.equal(keys.hex(new Uint8Array(100000)).split("\n").length, keys.HEX_MAX / 16);
});

test("base64 of any bytes comes back, also of none", () => {
  assert.deepEqual([...keys.bytesOf("AP8=")], [0, 255]);
  assert.equal(keys.bytesOf(null).length, 0);
});

test("a key's name is refused for what the API refuses", () => {
  assert.equal(keys.fault("app/port"), "");
  for (const name of ["", "/a", "a/../b", "a//b", "a\u0007", "ä".repeat(2049)]) assert.notEqual(keys.fault(name), "", name);
});

const view = {
  Cluster: "main", Term: 7, Mode: "sync", Primary: { Node: "pg1", Writable: true, Since: 5 },
  Members: [{ Node: "pg2", State: "standby", ReadOk: true, LagBytes: 2048, Sync: true, Streaming: true, Upstream: "pg1" }, { Node: "pg1", State: "primary" },
    { Node: "pg3", State: "fenced", Problem: "no" }],
  History: [{ Term: 6 }, { Term: 7 }],
};

test("a cluster is its primary first, its newest change first, and as well as its worst member", () => {
  const cluster = postgres.clusterOf(view);
  assert.deepEqual(cluster.members.map((m) => m.node), ["pg1", "pg2", "pg3"]);
  assert.equal(cluster.history[0].Term, 7);
  assert.equal(cluster.state, "warning");
  assert.deepEqual(postgres.candidates(cluster), ["pg2"]);
});

test("a cluster without a writable primary is critical, and says who holds the lease", () => {
  const cluster = postgres.clusterOf({ ...view, Primary: { Node: "pg2", Writable: false } });
  assert.equal(cluster.state, "critical");
  assert.match(cluster.words, /pg2 holds the lease/);
  assert.equal(postgres.clusterOf({ Cluster: "x", Primary: null }).words, "nobody can write");
});

test("lag is kept for a while, a line ends where its node was primary, and time without a primary shows", () => {
  const samples = [];
  const cluster = postgres.clusterOf(view);
  for (let i = 0; i < 2000; i++) postgres.sample(samples, i % 100 === 50 ? { ...cluster, primary: "" } : cluster, i * 1000);
  assert.ok(samples.length <= 901 && samples[0].at >= 1999000 - 901000);
  const graph = postgres.graph(samples, 1999000);
  assert.deepEqual(graph.lines.find((l) => l.node === "pg1").runs, []);
  assert.ok(graph.lines.find((l) => l.node === "pg2").runs.flat().every(([x, y]) => x >= 0 && x <= 1 && y >= 0 && y <= 1));
  assert.equal(graph.outages.length, 9);
});

const check = (ServiceID, Status, CheckID = "c", Type = "") => ({ ServiceID, Status, CheckID, Type, Notes: "why", SinceMs: 4 });
const list = flatten([
  { Node: "b", Address: "10.0.0.2", Services: [{ ID: "web", Service: "web" }], Checks: [check("", "passing"), check("web", "critical")], Meta: { zone: "x" } },
  { Node: "a", Address: "10.0.0.1", Services: [], Checks: [check("", "critical", "_node_maintenance", "maintenance")] },
]).filter((record) => record.kind === "node");

test("a node is as its own checks are, its services' are counted beside, and maintenance has its reason", () => {
  const [b, a] = nodes.rows(list, [], [], "b");
  assert.deepEqual([b.state, b.failing, a.state, a.maintenance], ["passing", 1, "maintenance", "why"]);
  assert.ok(parse("tag:web zone=x").matches(b) && !parse("zone=y").matches(b) && parse("state:maintenance").matches(a));
  assert.deepEqual(nodes.sorted([b, a], "state").map((n) => n.name), ["a", "b"]);
  assert.deepEqual(nodes.sorted([b, a], "name").map((n) => n.name), ["a", "b"]);
});

test("who is gone is forgotten after its time, who lives is not", () => {
  const settings = { reconnect_timeout: "72h0m0s", tombstone_timeout: "1h" };
  const member = (State, Tags = {}) => ({ State, SinceMs: 1000, Member: { Tags } });
  assert.equal(nodes.reapIn(member("alive"), settings, 0, 0), null);
  assert.equal(nodes.reapIn(member("failed"), settings, 2000, 1000), 72 * 3600000 - 2000);
  assert.equal(nodes.reapIn(member("failed", { rc_tm: "8h" }), settings, 0, 0), 8 * 3600000 - 1000);
  assert.equal(nodes.reapIn(member("left"), settings, 0, 0), 3600000 - 1000);
  assert.equal(nodes.reapIn(member("left"), settings, 9e9, 0), 0);
});

test("durations are read as Go writes them", () => {
  assert.deepEqual(["72h0m0s", "1m30s", "350ms", "", "x"].map(nodes.duration), [259200000, 90000, 350, null, null]);
});

test("what belongs to another node is not done here, and the command for there is told", () => {
  const action = actions.serviceMaintenance("web2", "it's", true);
  const verdict = actions.permission(action, { self: "web1", acl: false, token: "" });
  assert.equal(verdict.allowed, false);
  assert.match(verdict.why, /web2's own agent/);
  assert.equal(actions.withReason(action, "disk; $(x)").command, "rollcall maint -enable -service='it'\\''s' -reason='disk; $(x)'");
});

test("where tokens are in use nothing is done without one", () => {
  const action = actions.forceLeave("gone", "failed");
  assert.equal(actions.permission(action, { self: "a", acl: true, token: "" }).allowed, false);
  assert.equal(actions.permission(action, { self: "a", acl: true, token: "t" }).allowed, true);
  assert.equal(actions.permission(action, { self: "a", acl: false, token: "" }).allowed, true);
});

test("names in a request's path are escaped, whatever they are", () => {
  assert.equal(actions.deleteKey("a/b?c#d", 4).request.path, "/v1/kv/a%2Fb%3Fc%23d?cas=4");
  assert.equal(actions.withReason(actions.nodeMaintenance("n", true), "a&b=c").request.path, "/v1/agent/maintenance?enable=true&safe=true&reason=a%26b%3Dc");
  assert.equal(actions.deregister("n", "../x", "").request.path, "/v1/agent/service/deregister/..%2Fx");
});

test("who owns a service is said before it goes: its file, its program, or either", () => {
  assert.match(actions.deregister("n", "web", "config").owner, /configuration/);
  assert.match(actions.deregister("n", "web", "api").owner, /program/);
  assert.match(actions.deregister("n", "web", "").owner, /configuration file/);
});

test("a switchover says from whom to whom, a reason has a default", () => {
  const action = actions.switchover("main", "pg1", "pg2");
  assert.deepEqual(JSON.parse(action.request.body), { To: "pg2" });
  assert.match(actions.withReason(actions.nodeMaintenance("n", true), " ").command, /taken out by hand/);
});

test("1,000 nodes all have a time and a place", () => {
  const many = Array.from({ length: 1000 }, (_, i) => ({ Node: `n${i}`, Coord: coord([Math.sin(i), Math.cos(i), Math.sin(i * 7)].map((x) => x / 50), 0.0001) }));
  assert.equal(rtt.times(many, "n0").length, 1000);
  assert.equal(rtt.project(many).points.length, 1000);
});

test("why there is no answer is told in words that help", () => {
  const refused = { kind: "refused", status: 403, message: "403 Permission denied" };
  assert.match(troubleOf(refused, { needs: "operator:read" }), /operator:read/);
  assert.match(troubleOf({ kind: "refused", status: 401, message: "401 ACL support disabled" }), /not in use/);
  assert.match(troubleOf({ kind: "failed", status: 500, message: "500 No cluster leader" }), /no leader/);
  assert.equal(troubleOf({ kind: "absent", status: 404, message: "404" }, { absent: "no clusters" }), "no clusters");
  assert.equal(troubleOf({ kind: "lost", status: 0, message: "the connection broke" }), "", "the frame tells it");
});

test("what says the same stays the same object, so that nothing is drawn anew", () => {
  const stable = new Stable((item) => item.id);
  const [one, two] = stable.keep([{ id: 1, a: 1 }, { id: 2, a: 1 }]);
  const [again, changed] = stable.keep([{ id: 1, a: 1 }, { id: 2, a: 2 }]);
  assert.equal(again, one);
  assert.notEqual(changed, two);
});
