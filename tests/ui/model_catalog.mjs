// The records behind the status page: what the API says, what of it changed, what that makes of the services.
import assert from "node:assert/strict";
import test from "node:test";

import { Catalog, ago, compare, endpoint, flatten, noService, troubles, verdict } from "../../agent/ui/model.js";

const HOSTILE = ["<img src=x onerror=alert(1)>", "\u202egnp.exe", "n".repeat(500), "", "__proto__", "constructor", "a\nb"];

const check = (id, state, more = {}) => ({ Node: "web1", CheckID: id, Name: id, Status: state, Output: "", Notes: "", ServiceID: "", ServiceName: "", Type: "http", SinceMs: 1000, ...more });
const of = (service, state, more = {}) => check(`service:${service}`, state, { ServiceID: service, ServiceName: service, ...more });
const service = (id, more = {}) => ({ ID: id, Service: id, Tags: [], Address: "", Meta: {}, Port: 80, Weights: { Passing: 1, Warning: 1 }, ...more });
const node = (name, services, checks) => ({ ID: name, Node: name, Address: "10.0.0.1", Meta: {}, Services: services, Checks: checks.map((one) => ({ ...one, Node: name })), Liveness: "alive", LivenessSinceMs: 5 });
const alive = check("serfHealth", "passing");
const dead = check("serfHealth", "critical", { Output: "Agent not live or unreachable", SinceMs: 7000 });

function catalogOf(...nodes) {
  const catalog = new Catalog();
  update(catalog, new Map(), nodes);
  return catalog;
}

function update(catalog, known, nodes) {
  const { changed, gone, signatures } = compare(known, flatten(nodes));
  catalog.apply({ changed, gone, more: false });
  return { changed, gone, signatures };
}

test("an instance is as bad as the worst of its checks and of its node's", () => {
  const catalog = catalogOf(node("web1", [service("a"), service("b")], [alive, of("a", "passing"), of("b", "warning")]), node("web2", [service("a")], [dead, of("a", "passing")]));
  assert.equal(catalog.instance("web1", "a").state, "passing");
  assert.equal(catalog.instance("web1", "b").state, "warning");
  assert.equal(catalog.instance("web2", "a").state, "critical");
  assert.equal(catalog.instance("web2", "a").since, 7000);
});

test("a service is down when nothing of it can be used, and warns when one of several cannot", () => {
  const catalog = catalogOf(node("web1", [service("a"), service("b")], [alive, of("a", "critical"), of("b", "critical")]), node("web2", [service("a")], [alive, of("a", "passing")]));
  assert.deepEqual([catalog.services.get("a").state, catalog.services.get("a").usable], ["warning", 1]);
  assert.equal(catalog.services.get("b").state, "critical");
  assert.match(verdict(catalog).text, /^1 service down: b$/);
});

test("maintenance is told with its reason, takes the instance out, and is no trouble", () => {
  const catalog = catalogOf(node("web1", [service("a")], [alive, of("a", "critical", { Type: "maintenance", Notes: "new disk" })]));
  const instance = catalog.instance("web1", "a");
  assert.deepEqual([instance.state, instance.maintenance, catalog.services.get("a").usable], ["maintenance", "new disk", 0]);
  assert.deepEqual(troubles(catalog.faults), []);
  assert.equal(verdict(catalog).state, "maintenance");
});

test("only what changed is told, and who did not change is the same object", () => {
  const catalog = new Catalog();
  const first = [node("web1", [service("a"), service("b")], [alive, of("a", "passing"), of("b", "passing")])];
  const { signatures } = update(catalog, new Map(), first);
  const [a, b] = [catalog.services.get("a"), catalog.services.get("b")];
  const second = [node("web1", [service("a"), service("b")], [alive, of("a", "passing"), of("b", "critical", { Output: "refused" })])];
  const { changed, gone } = update(catalog, signatures, second);
  assert.deepEqual(changed.map((record) => record.kind).sort(), ["instance", "node"]);
  assert.deepEqual(gone, []);
  assert.equal(catalog.services.get("a"), a);
  assert.notEqual(catalog.services.get("b"), b);
});

test("what is gone goes, and a service goes with its last instance", () => {
  const catalog = new Catalog();
  const { signatures } = update(catalog, new Map(), [node("web1", [service("a"), service("b")], [alive]), node("web2", [service("a")], [alive])]);
  update(catalog, signatures, [node("web1", [service("a")], [alive])]);
  assert.deepEqual([...catalog.services.keys()], ["a"]);
  assert.equal(catalog.services.get("a").total, 1);
  assert.deepEqual([...catalog.nodes.keys()], ["web1"]);
});

test("a change that comes in parts is drawn when it is whole", () => {
  const catalog = new Catalog();
  const records = flatten([node("web1", [service("a")], [alive])]);
  assert.equal(catalog.apply({ changed: records.slice(0, 1), gone: [], more: true }), false);
  assert.equal(catalog.ready, false);
  assert.equal(catalog.apply({ changed: records.slice(1), gone: [], more: false }), true);
  assert.equal(catalog.services.size, 1);
});

test("an instance that changes its service's name leaves the old one", () => {
  const catalog = new Catalog();
  const { signatures } = update(catalog, new Map(), [node("web1", [service("a")], [alive])]);
  update(catalog, signatures, [node("web1", [service("a", { Service: "z" })], [alive])]);
  assert.deepEqual([...catalog.services.keys()], ["z"]);
});

test("names may be anything, also what JavaScript takes for its own", () => {
  for (const name of HOSTILE) {
    const catalog = catalogOf(node("web1", [service(name, { Tags: HOSTILE, Meta: JSON.parse('{"__proto__": "x"}') })], [alive, of(name, "critical", { ServiceID: name === "" ? "x" : name, Output: name })]));
    assert.equal(catalog.services.get(name).name, name);
    assert.equal(catalog.services.get(name).total, 1);
    assert.ok(verdict(catalog).text.length > 0);
  }
});

test("nothing registered, and no node at all, are told as such", () => {
  assert.deepEqual(verdict(catalogOf()), { state: "unknown", text: "No node is known yet" });
  assert.match(verdict(catalogOf(node("web1", [], [alive]))).text, /Every node answers; no service/);
  assert.deepEqual(catalogOf().counts.nodes, { passing: 0, warning: 0, critical: 0, maintenance: 0 });
});

test("fields that an older agent leaves out are no harm", () => {
  const catalog = catalogOf({ Node: "web1", Address: "10.0.0.1", Services: [{ ID: "a", Service: "a" }], Checks: [{ Node: "web1", CheckID: "x", Name: "x", Status: "passing", ServiceID: "a", ServiceName: "a", Output: "" }] });
  assert.deepEqual([catalog.instance("web1", "a").port, catalog.instance("web1", "a").flaps, catalog.instance("web1", "a").since], [0, 0, 0]);
});

test("a check that fails alike on many instances is one trouble, and a lost node is told once and first", () => {
  const bad = (name) => node(name, [service("a")], [alive, of("a", "critical", { SinceMs: 9000 })]);
  const catalog = catalogOf(bad("web1"), bad("web2"), node("web3", [service("a")], [dead, of("a", "passing")]));
  const [first, second, ...rest] = troubles(catalog.faults);
  assert.deepEqual([first.isLost, first.node], [true, "web3"]);
  assert.deepEqual([second.service, second.count, rest.length], ["a", 2, 0]);
});

test("counts are by state, of nodes, services, instances and checks", () => {
  const { nodes, services, instances, checks } = catalogOf(node("web1", [service("a"), service("b")], [alive, of("a", "passing"), of("b", "critical")]), node("web2", [service("a")], [dead])).counts;
  assert.deepEqual([nodes.passing, nodes.critical], [1, 1]);
  assert.deepEqual([services.warning, services.critical], [1, 1]);
  assert.deepEqual([instances.passing, instances.critical], [1, 2]);
  assert.deepEqual([checks.passing, checks.critical], [2, 2]);
});

test("how long ago is said in words, an address of version 6 in brackets", () => {
  assert.deepEqual([0, 59, 60, 3599, 3600, 7500, 200000].map((s) => ago(1, 1 + s * 1000)), ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "2 h 5 min", "2 d"]);
  assert.equal(ago(2000, 1000), "0 s"); // clocks differ
  assert.deepEqual([endpoint("10.0.0.1", 80), endpoint("fd00::1", 80), endpoint("fd00::1", 0)], ["10.0.0.1:80", "[fd00::1]:80", "fd00::1"]);
});

test("failing checks of an instance in maintenance are no trouble", () => {
  const catalog = catalogOf(node("web1", [service("a")], [alive, of("a", "critical"), of("a", "critical", { CheckID: "m", Type: "maintenance", Notes: "x" })]));
  assert.deepEqual(troubles(catalog.faults), []);
  assert.equal(catalog.instance("web1", "a").faults.length, 2);
});

test("what may not be seen is not told to be well", () => {
  const catalog = new Catalog();
  catalog.apply({ changed: [], gone: [], more: false, filtered: true });
  assert.deepEqual([verdict(catalog).state, /Nothing may be seen/.test(verdict(catalog).text), /No service may be seen/.test(noService(catalog))], ["unknown", true, true]);
  catalog.apply({ changed: flatten([node("web1", [service("a")], [alive])]), gone: [], more: false, filtered: true });
  assert.match(verdict(catalog).text, /^Everything that may be seen/);
});
