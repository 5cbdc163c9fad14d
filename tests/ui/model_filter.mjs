// What can be typed into a filter, and what it finds.
import assert from "node:assert/strict";
import test from "node:test";

import { parse } from "../../agent/ui/filter.js";

const web = { name: "web", id: "web-1", node: "node-a", address: "10.0.0.7", port: 8080, state: "passing", tags: ["v1", "Two Words"], meta: { owner: "team-a", version: "1.2" }, checks: [{ name: "http", output: "200 OK" }] };
const mail = { name: "mail", id: "mail", node: "node-b", address: "fd00::1", port: 25, state: "critical", tags: ["smtp"], meta: {}, checks: [{ name: "queue", output: "full <b>" }] };

function found(text) {
  const filter = parse(text);
  assert.equal(filter.error, "", text);
  return [web, mail].filter(filter.matches).map((one) => one.name).join(" ");
}

test("every word must occur, in upper or lower case", () => {
  assert.equal(found(""), "web mail");
  assert.equal(found("WEB node-a"), "web");
  assert.equal(found("web node-b"), "");
  assert.equal(found("10.0.0.7:8080"), "web");
  assert.equal(found("[fd00::1]:25"), "mail");
  assert.equal(found("fd00::1"), "mail");
  assert.equal(found("critical"), "mail");
});

test("a regular expression finds by pattern, alone or behind a field", () => {
  assert.equal(found("/^ma.l$/"), "");
  assert.equal(found("/ma.l/"), "mail");
  assert.equal(found("name:/^w/"), "web");
  assert.equal(found("tag:/^v\\d$/"), "web");
  assert.equal(found("/10\\.0\\.0\\.\\d:80/"), "web");
  assert.equal(found("/a b|two words/"), "web");
  assert.equal(found("/web\\-1/"), "web");
});

test("a tag is meant whole, a meta by key and value", () => {
  assert.equal(found("tag:v1"), "web");
  assert.equal(found("tag:v"), "");
  assert.equal(found('tag:"two words"'), "web");
  assert.equal(found("meta:owner"), "web");
  assert.equal(found("meta:owner=team-a"), "web");
  assert.equal(found("owner=team-a"), "web");
  assert.equal(found("owner=team"), "");
});

test("states, ports and ranges of them", () => {
  assert.equal(found("state:critical"), "mail");
  assert.equal(found("state:failing"), "mail");
  assert.equal(found("port:25"), "mail");
  assert.equal(found("port:8000-8099"), "web");
  assert.equal(found("address:10.0."), "web");
  assert.equal(found("check:full"), "mail");
});

test("a minus turns a term around; several terms are all meant of one instance", () => {
  assert.equal(found("-tag:v1"), "mail");
  assert.equal(found("-web"), "mail");
  assert.equal(found("tag:v1 state:critical"), "");
  assert.equal(found("node:node port:25"), "mail");
});

test("a mistake is said, and filters nothing out", () => {
  const mistakes = [["foo:bar", /no "foo:"/], ["/(/", /no regular expression/], ["/abc", /does not end/], ['"abc', /does not end/], ["port:x", /a port is a number/], ["port:9-1", /ends before/],
    ["port:70000", /65535/], ["state:fine", /no state "fine"/], ["tag:", /wants something/], ["state:constructor", /no state/]];
  for (const [text, says] of mistakes) {
    const filter = parse(text);
    assert.match(filter.error, says, text);
    assert.ok(filter.matches(web) && filter.matches(mail), text);
  }
});

test("no text breaks it", () => {
  for (const text of ["-", "--", "/", "//", '""', ":", "a:", "=", "a=", "=b", "\\", "\u202e", "<img src=x onerror=1>", "x".repeat(5000), "http://10.0.0.1/", "tag:tag:tag:", "-tag:-v1", "[", "(", "*"]) {
    const filter = parse(text);
    assert.equal(typeof filter.matches(web), "boolean", text);
  }
});
