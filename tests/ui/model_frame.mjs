// The frame and its pages fit together.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

const UI = new URL("../../agent/ui/", import.meta.url);
const text = (name) => readFileSync(new URL(name, UI), "utf8");
const { navigation, pages } = await import(new URL("pages.js", UI));
const { find } = await import(new URL("router.js", UI));

test("every page has a title, addresses and a way to be shown", () => {
  for (const page of pages) {
    assert.ok(["string", "function"].includes(typeof page.title) && page.paths.length > 0 && typeof page.show === "function", page.paths?.[0]);
  }
});

test("each entry of the navigation leads to a page of its own", () => {
  const found = navigation.map(({ to }) => find(pages, to)?.page);
  assert.ok(found.every(Boolean));
  assert.equal(new Set(found).size, navigation.length);
});

test("every page file is one of the pages", () => {
  const listed = text("pages.js");
  for (const name of readdirSync(UI).filter((file) => file.startsWith("page_"))) assert.ok(listed.includes(`"./${name}"`), name);
});

test("nothing becomes markup or is written inline: the CSP would refuse it", () => {
  assert.doesNotMatch(text("index.html"), /<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=/);
  for (const name of readdirSync(UI).filter((file) => file.endsWith(".js"))) {
    assert.doesNotMatch(text(name), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"|[{,] style:/, name);
  }
});
