// Keys and values: folders by '/', one key with its value and who has locked it; writing bound to what was read.
import { identify, perform } from "./actions.js";
import { follow, redraw } from "./answer.js";
import { crumbs, element, empty, facts, heading, nameOf, say } from "./dom.js";
import * as model from "./model_actions.js";
import * as keys from "./model_keys.js";
import { ttlOf } from "./page_node.js";
import { link } from "./router.js";
import { VirtualList, tellCount } from "./virtual.js";

export const title = (params) => params.key || "Keys";
export const paths = ["/ui/kv/*key"];

const place = (key) => (key === "" ? link("kv") : link("kv", ...key.split("/")));
const trail = (key) => crumbs(["Keys", link("kv")], ...keys.trail(key).map((part) => [part.name, place(part.path)]));
const NEEDS = { needs: "key:read", absent: "No server keeps a store here: there are no keys." };

// A box for a value: what is written must be what was meant, so it says so where the browser could not keep the bytes.
function editor(context, identity, { key, index, text, session, written }) {
  const name = key === null ? element("input", { type: "text", value: context.params.key, spellcheck: "false", autocomplete: "off" }) : null;
  const area = element("textarea", { rows: "10", spellcheck: "false", "aria-label": "Value" });
  const told = element("p", { class: "trouble", role: "alert" });
  area.value = text;
  if (area.value !== text) say(told, "Written here, its line ends become LF alone.");
  const write = async (event) => {
    event.preventDefault();
    const target = key ?? name.value.trim();
    const length = new TextEncoder().encode(area.value).length;
    const wrong = keys.fault(target) || (target.endsWith("/") ? "A name that ends in '/' would look like a folder." : "")
      || (length > keys.VALUE_MAX ? `A value has at most ${keys.size(keys.VALUE_MAX)}; this one has ${keys.size(length)}.` : "");
    say(told, wrong);
    if (!wrong && await perform(context, identity, model.putKey(target, index, session), { body: () => area.value })) written(target);
  };
  return element("form", { class: "editor", on: { submit: write } }, name ? element("label", { class: "field" }, "Name ", name) : null, area, told,
    element("p", { class: "buttons" }, element("button", { type: "submit", class: "primary" }, index > 0 ? "Write …" : "Create …")));
}

function showFolder(page, context, identity) {
  const prefix = context.params.key;
  const list = new VirtualList({ label: "Keys", kind: "keys", key: (item) => item.key, signal: context.signal, columns: [
    { title: "Name", cell: (item) => [element("span", { "aria-hidden": "true" }, item.folder ? "▸ " : "· "), nameOf(item.name, place(item.key))] }] });
  const count = element("span", { class: "count", role: "status" });
  const input = element("input", { type: "search", placeholder: "part of a name", "aria-label": "Show only names with" });
  const nothing = empty("");
  let all = [];
  const draw = () => {
    const fitting = all.filter((item) => item.name.toLowerCase().includes(input.value.trim().toLowerCase()));
    list.show(fitting);
    list.element.hidden = fitting.length === 0;
    nothing.hidden = fitting.length > 0;
    say(nothing, all.length === 0 ? "No keys here." : "No name fits.");
    tellCount(count, fitting.length, all.length, "names here");
  };
  input.addEventListener("input", draw);
  const none = prefix === "" ? NEEDS : { ...NEEDS, absent: "No key begins so (any more)." };
  const note = follow(context, `/v1/kv/${encodeURIComponent(prefix)}?keys&separator=%2F`, { ...none, parts: [list.element, nothing], failed: () => { all = []; } },
    (value) => { all = keys.children(value, prefix); draw(); });
  page.append(trail(prefix), heading("Keys"), element("div", { class: "filter" }, element("label", {}, input), count), note, list.element, nothing,
    element("details", { class: "help" }, element("summary", {}, "Create a key"),
      editor(context, identity, { key: null, index: 0, text: "", written: (key) => context.go(place(key)) })));
}

function valueParts(value, bytes) {
  if (value.kind === "empty") return [empty("The value is empty.")];
  if (value.kind === "binary") {
    return [element("p", { class: "faint" }, `${keys.size(bytes.length)} that are no text${bytes.length > keys.HEX_MAX ? `; the first ${keys.size(keys.HEX_MAX)}` : ""}:`),
      element("pre", { class: "value" }, keys.hex(bytes)),
      element("p", { class: "faint" }, "Bytes are written with ", element("code", {}, "rollcall kv put KEY @FILE"), ".")];
  }
  const text = value.pretty ?? value.text;
  return [element("pre", { class: "value", dir: "auto" }, text.slice(0, keys.TEXT_MAX)),
    text.length > keys.TEXT_MAX ? element("p", { class: "faint" }, `The first ${keys.size(keys.TEXT_MAX)} of ${keys.size(text.length)}.`) : null].filter(Boolean);
}

// Who has locked it: {session, about: Session or null when there is none of that name}.
function holder(pair, about) {
  if (!pair.Session) return [["Lock", pair.LockIndex > 0 ? `free, taken ${pair.LockIndex} times so far` : "free"]];
  return [["Locked by", nameOf(about ? about.Name || pair.Session : pair.Session, link("sessions"))], ["On node", about ? nameOf(about.Node, link("nodes", about.Node)) : null],
    ["Term of the lock", `${pair.Term ?? "–"}`], ["TTL of its session", about ? ttlOf(about.TTL) : null], ["Session", element("code", {}, pair.Session)]];
}

function showKey(page, context, identity) {
  const key = context.params.key;
  const about = element("div", { class: "card" });
  const body = element("div");
  const known = { pair: null, session: null };
  const again = () => context.go(place(key));

  const drawAbout = () => redraw(about, [known.pair, known.session], () => facts([["Size", keys.size(keys.bytesOf(known.pair.Value).length)],
    ["Kind", keys.valueOf(keys.bytesOf(known.pair.Value)).kind], ["Flags", known.pair.Flags ? `${known.pair.Flags}` : null], ["Created at index", `${known.pair.CreateIndex}`],
    ["Changed at index", `${known.pair.ModifyIndex}`], ...holder(known.pair, known.session)]));

  function drawValue(pair) {
    const bytes = keys.bytesOf(pair.Value);
    const value = keys.valueOf(bytes);
    const editing = body.querySelector("form");
    if (editing && body.dataset.index !== String(pair.ModifyIndex)) {
      say(editing.querySelector(".trouble"), "Somebody has changed it meanwhile: what you write would be refused. Load the page again to see it.");
      return;
    }
    if (editing) return;
    body.dataset.index = pair.ModifyIndex;
    const edit = () => body.replaceChildren(editor(context, identity, { key, index: pair.ModifyIndex, text: value.text, session: pair.Session, written: again }));
    const remove = async () => { if (await perform(context, identity, model.deleteKey(key, pair.ModifyIndex, pair.Session))) context.go(place(keys.parent(key))); };
    redraw(body, [pair], () => [element("div", { class: "actions" },
      value.kind === "binary" ? null : element("button", { type: "button", on: { click: edit } }, "Edit …"), element("button", { type: "button", class: "danger", on: { click: remove } }, "Delete …")), ...valueParts(value, bytes)]);
  }

  async function lookUp(pair) {
    known.session = null;
    if (pair.Session) {
      try { [known.session = null] = (await context.ask(`/v1/session/info/${encodeURIComponent(pair.Session)}`)).body; } catch { /* its id alone is shown */ }
    }
    if (known.pair === pair) drawAbout();
  }

  const note = follow(context, keys.path(key), { ...NEEDS, absent: "There is no such key (any more).", parts: [about, body] }, ([pair]) => {
    if (known.pair?.Session !== pair.Session) known.session = null;
    known.pair = pair;
    drawAbout();
    drawValue(pair);
    lookUp(pair);
  });
  page.append(trail(key), heading(nameOf(key)), note, about, body);
}

export function show(page, context) {
  const { key } = context.params;
  const identity = identify(context);
  if (key === "" || key.endsWith("/")) showFolder(page, context, identity);
  else showKey(page, context, identity);
}

export { place as placeOfKey };
