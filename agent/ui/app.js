// The frame: it finds the page of an address, follows the catalog, tells how fresh everything is, and keeps theme and token.
import { clock, confirm, element, mark, say, tick } from "./dom.js";
import { Live, ask as askAgent } from "./live.js";
import { Catalog } from "./model.js";
import { lost, navigation, pages } from "./pages.js";
import { find, withQuery } from "./router.js";

const TOKEN = "rollcall-token";
const THEME = "rollcall-theme";
const FOLLOW = "rollcall-follow"; // "off": nothing is asked again until the page is loaded again
const PULSE = "/v1/status/leader";
const PULSE_MS = 2500; // and so long is an answer waited for
const SELF_MS = 30000;
const EVENTS = "/v1/internal/ui/events";
const EVENTS_MS = 2000; // not blocking: a browser has six connections to an agent for all its windows
const at = (id) => document.getElementById(id);

// Storage may be forbidden; then a token lives as long as the page.
const memory = new Map();
const stored = (storage, key) => { try { return window[storage].getItem(key) ?? ""; } catch { return memory.get(key) ?? ""; } };
function store(storage, key, value) {
  memory.set(key, value);
  try { if (value) window[storage].setItem(key, value); else window[storage].removeItem(key); } catch { /* as above */ }
}

const token = () => stored("sessionStorage", TOKEN);
const follows = () => stored("localStorage", FOLLOW) !== "off";
const live = new Live(token);
const catalog = new Catalog();
const gather = new Worker("/ui/gather.js", { type: "module" });
const listeners = new Set(); // of the page that is shown, called at each change of the catalog
const health = { catalog: null, pulse: null, at: 0, filtered: false };
let leaving = new AbortController();

// Draws at most once a frame, however often it is asked.
function coalesced(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };
}

// ---- how fresh it is

function troubleText(error) {
  const known = health.at > 0 ? ` What is shown is of ${clock(health.at)}.` : "";
  if (error.kind === "refused") return "This token may not read the catalog.";
  return `No answer from the agent (${error.text}).${known} Trying again.`;
}

function tellFresh() {
  const error = health.pulse ?? health.catalog;
  const nothing = health.filtered && catalog.ready && catalog.records.size === 0;
  mark(document.documentElement, "data-lost", error && error.kind !== "refused" ? "yes" : null);
  at("freshness").classList.toggle("lost", Boolean(error) || nothing);
  if (!error && !follows() && health.at > 0) say(at("freshness"), `‖ As of ${clock(health.at)}: updates are off`);
  else if (error) say(at("freshness"), `✗ ${troubleText(error)}`);
  else if (nothing) say(at("freshness"), "! Nothing may be seen with this token, or without one.");
  else if (health.at > 0) say(at("freshness"), `✓ Live, last updated ${clock(health.at)}`);
  mark(at("token-button"), "class", token() ? "" : error?.kind === "refused" || health.filtered ? "wanted" : "");
  say(at("token-button"), token() ? "Token: set" : "Token");
}

gather.onmessage = ({ data }) => {
  if (data.kind === "delta") {
    if (catalog.apply(data)) drawCatalog();
    return;
  }
  if (data.kind === "live") {
    Object.assign(health, { at: data.at, filtered: data.filtered, catalog: null });
    if (!follows()) gather.postMessage({ kind: "stop" });
  }
  else health.catalog = data.kind === "lost" ? { kind: data.why, text: data.text } : null;
  tellFresh();
};

// A small question asked often: a line that is silently dead is noticed although nothing changes in the catalog.
live.subscribe(PULSE, { everyMs: PULSE_MS, patienceMs: PULSE_MS }, ({ error }) => {
  const was = health.pulse;
  health.pulse = error && error.kind === "lost" ? { kind: "lost", text: error.message } : null;
  if (was && !health.pulse) gather.postMessage({ kind: "kick" });
  tellFresh();
});

let selfName = "";
const again = new Set(); // who draws anew once it is known who tells all this

// The freshness line tells when the agent does not answer; the name can wait.
live.subscribe("/v1/agent/self", { everyMs: SELF_MS }, ({ value }) => {
  if (!value) return;
  say(at("whoami"), `as ${value.Config.NodeName} in ${value.Config.Datacenter} sees it`);
  if (selfName === value.Config.NodeName) return;
  selfName = value.Config.NodeName;
  for (const tell of [...again]) tell();
});

// ---- navigation and pages

const badges = navigation.map(({ label, to, faults }) => {
  const badge = element("span", { class: "badge", hidden: true });
  const anchor = element("a", { href: to }, label, badge);
  at("navigation").append(anchor);
  return { to, faults, badge, anchor };
});

const drawCatalog = coalesced(() => {
  for (const { faults, badge } of badges) {
    const number = faults ? faults(catalog) : 0;
    badge.hidden = number === 0;
    say(badge, ` ✗ ${number}`);
    mark(badge, "aria-label", `${number} not well`);
  }
  for (const listener of [...listeners]) listener(catalog);
});

function markNavigation(path) {
  const here = badges.filter(({ to }) => (to === "/ui/" ? path === "/ui/" || path === "/ui" : `${path}/`.startsWith(`${to}/`)));
  for (const entry of badges) mark(entry.anchor, "aria-current", here.includes(entry) ? "page" : null);
  here[0]?.anchor.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone not all fit
}

// What a page is given: params and query of its address; catalog and onCatalog(listener), told at once and at each change;
// live(path, { everyMs }, listener), told { value, error, at } likewise; self(listener), told what /v1/agent/self says; events(listener),
// told (events, error, filtered), all that the agent remembers; knownSince(), when it began to look;
// ask(path, { method, body }) once; go(path); setQuery(values) changes the address without a new page; settings of this browser;
// signal aborts when the page is left.
function contextOf(params, signal) {
  return {
    params, signal, catalog,
    query: Object.fromEntries(new URLSearchParams(location.search)),
    hasToken: () => token() !== "", settings,
    onCatalog: (listener) => {
      const guarded = coalesced(() => { if (!signal.aborted) listener(catalog); });
      listeners.add(guarded);
      signal.addEventListener("abort", () => listeners.delete(guarded));
      if (catalog.ready) listener(catalog);
    },
    live: (path, options, listener) => live.subscribe(path, options, listener, signal),
    self: (listener) => live.subscribe("/v1/agent/self", { everyMs: SELF_MS }, ({ value }) => { if (value) listener(value); }, signal),
    events: (listener) => {
      let last = [[], null, false];
      const tell = () => listener(...last);
      again.add(tell);
      signal.addEventListener("abort", () => again.delete(tell));
      live.subscribe(EVENTS, { grows: true, everyMs: EVENTS_MS }, ({ value, error, filtered }) => { last = [Array.isArray(value) ? value : [], error, filtered]; tell(); }, signal);
    },
    knownSince: () => catalog.nodes.get(selfName)?.livenessSince ?? 0,
    ask: (path, options = {}) => askAgent(path, { token: token(), ...options }),
    refresh: () => { live.kick(); gather.postMessage({ kind: "kick" }); },
    go, setQuery: (values) => history.replaceState(history.state, "", withQuery(location.pathname, values)),
  };
}

function show({ focus }) {
  leaving.abort();
  leaving = new AbortController();
  listeners.clear();
  const found = find(pages, location.pathname) ?? { page: lost, params: {} };
  const title = typeof found.page.title === "function" ? found.page.title(found.params) : found.page.title;
  const place = element("div", { class: `page ${found.page.name ?? ""}` });
  document.title = `${title} · rollcall`;
  markNavigation(location.pathname);
  at("place").replaceChildren(place);
  try {
    found.page.show(place, contextOf(found.params, leaving.signal));
  } catch (error) {
    place.append(element("p", { class: "trouble", role: "alert" }, `This page cannot be shown: ${error.message}`));
    console.error(error);
  }
  if (focus) (place.querySelector("h1") ?? at("place")).focus({ preventScroll: true });
}

function go(path) {
  history.replaceState({ scroll: scrollY }, "");
  history.pushState({}, "", path);
  show({ focus: true });
  scrollTo(0, 0);
}

function onClick(event) {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const to = new URL(anchor.href);
  if (to.origin !== location.origin || !to.pathname.startsWith("/ui") || to.hash || anchor.target) return;
  event.preventDefault();
  go(to.pathname + to.search);
}

// ---- theme, token, keys

function setTheme(theme) {
  store("localStorage", THEME, theme);
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  tellTheme();
}

function nextTheme() {
  const order = ["", "light", "dark"];
  setTheme(order[(order.indexOf(stored("localStorage", THEME)) + 1) % order.length]);
}

function tellTheme() {
  const theme = stored("localStorage", THEME);
  say(at("theme-button"), { light: "☀ Light", dark: "☾ Dark" }[theme] ?? "◐ Auto");
  mark(at("theme-button"), "title", `Theme: ${theme || "as the system's"}`);
}

async function askToken() {
  const done = await confirm({
    title: "Token", text: "What may be seen and done depends on it. It is kept in this tab only, until the tab is closed.", button: "Use it",
    fields: [{ name: "token", label: "Secret ID (empty: none)", type: "password" }],
    act: ({ token: secret }) => store("sessionStorage", TOKEN, secret.trim()),
  });
  if (done) location.reload();
}

const KEYS = [["/", "to the filter"], ["?", "this help"], ["↑ ↓ Home End", "from row to row in long lists"], ["Esc", "closes a dialog, clears a filter"],
  ["g then o, s, n, k, p", "to the overview, services, nodes, keys, PostgreSQL"]];
const PLACES = { __proto__: null, o: "/ui/", s: "/ui/services", n: "/ui/nodes", k: "/ui/kv", p: "/ui/postgres" };

function showKeys() {
  const close = element("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "Close");
  const dialog = element("dialog", { "aria-label": "Keyboard shortcuts" }, element("h2", {}, "Keyboard"),
    element("dl", { class: "facts" }, KEYS.map(([keys, does]) => element("div", {}, element("dt", {}, keys), element("dd", {}, does)))),
    element("p", { class: "buttons" }, close));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

let waitsForPlace = false;

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog")) return;
  const place = waitsForPlace ? PLACES[event.key] : undefined;
  waitsForPlace = event.key === "g";
  if (place) go(place);
  else if (event.key === "?") showKeys();
  else if (event.key === "/") { document.querySelector("input[type=search]")?.focus(); event.preventDefault(); }
}

// What the settings page changes.
const settings = {
  theme: () => stored("localStorage", THEME), setTheme, follows,
  setFollows: (on) => {
    store("localStorage", FOLLOW, on ? "" : "off");
    onVisible();
    tellFresh();
  },
  setToken: (secret) => {
    store("sessionStorage", TOKEN, secret);
    gather.postMessage({ kind: "token", token: secret });
    gather.postMessage({ kind: "kick" });
    live.kick();
    tellFresh();
  },
};

function onVisible() {
  const visible = !document.hidden && (follows() || health.at === 0);
  live.follows = follows();
  live.show(!document.hidden);
  gather.postMessage({ kind: visible ? "start" : "stop" });
}

at("theme-button").addEventListener("click", nextTheme);
at("token-button").addEventListener("click", askToken);
at("keys-button").addEventListener("click", showKeys);
addEventListener("click", onClick);
addEventListener("keydown", onKey);
addEventListener("popstate", (event) => { show({ focus: false }); scrollTo(0, event.state?.scroll ?? 0); });
addEventListener("online", () => { live.kick(); gather.postMessage({ kind: "kick" }); });
document.addEventListener("visibilitychange", onVisible);
history.scrollRestoration = "manual";
setInterval(() => { if (!document.hidden) tick(); }, 1000);
gather.postMessage({ kind: "token", token: token() });
tellTheme();
onVisible();
show({ focus: false });
