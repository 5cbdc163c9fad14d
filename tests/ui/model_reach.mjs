// How a service is reached: names of DNS and their answers, proxies and their figures.
import assert from "node:assert/strict";
import test from "node:test";

import { answerOf, namesOf, nodeName } from "../../agent/ui/model_dns.js";
import { instanceAt, millis, perSecond, routesTo, silent } from "../../agent/ui/model_proxies.js";

test("a service has names of its own and by tag; what is no label has none", () => {
  assert.deepEqual(namesOf("web", ["v1", "<b>", "a b"], "rollcall.").map(({ name }) => name), ["web.service.rollcall", "_web._tcp.service.rollcall", "v1.web.service.rollcall"]);
  assert.deepEqual(namesOf("<img src=x>", [], "rollcall."), []);
  assert.equal(nodeName("web1", "rollcall.").name, "web1.node.rollcall");
  assert.equal(nodeName("a b", "rollcall."), null);
});

test("an answer is its records, and who is left out for being ill, not for lacking the tag", () => {
  const ill = { Usable: false, Reasons: [{ Kind: "check", Text: "" }] };
  const other = { Usable: false, Reasons: [{ Kind: "tag", Text: "" }] };
  const answer = answerOf({ Instances: [{ Usable: true, Reasons: [] }, ill, other], Answers: [{ Status: "NOERROR", Answer: ["_web._tcp.service.rollcall. 0 IN SRV 1 10 8001 web1.node.dc1.rollcall."] }] });
  assert.deepEqual(answer, { ok: true, records: ["web1.node.dc1.rollcall port 8001, weight 10"], text: "1 record, 1 left out" });
  assert.deepEqual(answerOf({ Answers: [{ Status: "NXDOMAIN", Answer: [] }] }), { ok: false, records: [], text: "NXDOMAIN" });
  assert.equal(answerOf({}).ok, false);
});

const proxies = [{ Node: "adm1", Address: "10.0.0.5", Error: "", Figures: { Routes: [{ Route: "todo", Pool: "web", PerSecond: 5, P50Ms: 1 }, { Route: "mail", Pool: "mail" }],
  Pools: [{ Pool: "web", Service: "todomvc", Instances: [{ Address: "[fd00::1]:80", State: "up", PerSecond: 5 }] }, { Pool: "mail" }] } }, { Node: "adm2", Error: "no answer" }];

test("a route leads to a service by its pool", () => {
  assert.deepEqual(routesTo("todomvc", proxies).map(({ proxy, route, rate, p99 }) => [proxy, route, rate, p99]), [["adm1", "todo", 5, null]]);
  assert.deepEqual(routesTo("mail", proxies).map(({ route }) => route), ["mail"]);
  assert.deepEqual(routesTo("web", proxies), []);
  const tcp = [{ Node: "adm1", Figures: { Listeners: [{ Address: "127.0.0.1:5432", Mode: "postgres", Pool: "pg", Connections: 3 }], Pools: [{ Pool: "pg", Service: "postgres" }] } }];
  assert.deepEqual(routesTo("postgres", tcp).map(({ route, rate }) => [route, rate]), [["127.0.0.1:5432, postgres, 3 open", null]]);
});

test("an instance is found at its address, and a silent proxy is told", () => {
  assert.deepEqual(instanceAt("todomvc", "fd00::1", 80, proxies).map(({ state }) => state), ["up"]);
  assert.deepEqual(silent(proxies), [{ proxy: "adm2", error: "no answer" }]);
});

test("figures are short", () => {
  assert.deepEqual([null, 0, 1.25, 132.4, 12345].map(perSecond), ["–", "0", "1.3", "132", "12.3k"]);
  assert.deepEqual([null, 0, 0.42, 31, 12000].map(millis), ["–", "–", "0.4 ms", "31 ms", "12 s"]);
});

test("a route of several listeners is told once, with all its requests and its slowest answers", () => {
  const route = (name, rate, p99) => ({ Route: name, Host: "*", Path: "/", Pool: "web", PerSecond: rate, Errors5xxPerSecond: 0, P50Ms: 1, P95Ms: 2, P99Ms: p99 });
  const two = [{ Node: "web1", Address: "a", Port: 1, Figures: { Routes: [route("* /", 2, 10), route("* / #1", 3, 40)], Pools: [{ Pool: "web", Service: "todomvc" }] } }];
  assert.deepEqual(routesTo("todomvc", two).map((row) => [row.route, row.rate, row.p99]), [["* / (2 listeners)", 5, 40]]);
});
