// Addresses of pages: they are stable, and names in them may be anything.
import assert from "node:assert/strict";
import test from "node:test";

import { find, link, match, withQuery } from "../../agent/ui/router.js";

test("a pattern gives names to the parts of an address", () => {
  assert.deepEqual(match("/ui/services/:service", "/ui/services/web"), { service: "web" });
  assert.deepEqual(match("/ui/services/:service/:node/:id", "/ui/services/web/n1/web-1"), { service: "web", node: "n1", id: "web-1" });
  assert.deepEqual(match("/ui/services", "/ui/services/"), {});
  assert.deepEqual(match("/ui/", "/ui"), {});
  assert.deepEqual(match("/ui/kv/*key", "/ui/kv/a/b%2Fc/d"), { key: "a/b/c/d" });
  assert.equal(match("/ui/services", "/ui/services/web"), null);
  assert.equal(match("/ui/services/:service", "/ui/nodes/web"), null);
});

test("any name goes into an address and comes out of it again", () => {
  for (const name of ["web", "a/b", "a b", "..", ".", "", "~", "~x", "%", "%2F", "?#&=+", "<img src=x onerror=1>", "\u202eevil", "שלום", "n".repeat(500), "a.b.js", "a//b", "/", "a/", "/a", "a/../b", "./a", "a\nb", "~=x", "a//%2F"]) {
    const path = new URL(link("services", name, name, name), "http://127.0.0.1").pathname;
    assert.deepEqual(match("/ui/services/:service/:node/:id", path), { service: name, node: name, id: name }, JSON.stringify(name));
    const seen = decodeURIComponent(path); // by the agent, which would send elsewhere whoever asks for what it folds
    assert.ok(!/\/\/|\/\.{1,2}(\/|$)|[\u0000-\u001f]|\/$/.test(seen), seen);
  }
});

test("an address that is not percent-encoded as it should be is taken as it stands", () => {
  assert.deepEqual(match("/ui/services/:service", "/ui/services/100%"), { service: "100%" });
});

test("the first page that answers to an address is shown, or none", () => {
  const pages = [{ paths: ["/ui/"] }, { paths: ["/ui/x", "/ui/x/:name"] }];
  assert.equal(find(pages, "/ui/").page, pages[0]);
  assert.deepEqual(find(pages, "/ui/x/y").params, { name: "y" });
  assert.equal(find(pages, "/ui/y"), null);
});

test("a query leaves out what is empty", () => {
  assert.equal(withQuery("/ui/services", { q: "", sort: undefined }), "/ui/services");
  assert.equal(withQuery("/ui/services", { q: "a b&c", sort: "name" }), "/ui/services?q=a+b%26c&sort=name");
});
