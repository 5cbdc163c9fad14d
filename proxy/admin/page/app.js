// Asks the proxy once a second and shows what it says; says so when it does not answer.
import { History, count, duration, perSecond, picture } from "./model.js";
import { Chart, Table, instanceColumns, make, routeColumns, say } from "./view.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 3000;

const at = (id) => document.getElementById(id);
const history = new History();
const rates = new Chart("Requests a second", ["all", "failed"], perSecond);
const times = new Chart("Time of a request", ["p99", "p50"], duration);
const routes = new Table("Routes", routeColumns(history));
const pools = new Map();
const tiles = new Map();
let heardAt = 0;
let last = null;

at("charts").append(rates.element, times.element);

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function tile(name, value) {
  if (!tiles.has(name)) {
    const strong = make("strong");
    tiles.set(name, strong);
    at("tiles").append(make("div", {}, strong, make("span", {}, name)));
  }
  say(tiles.get(name), value);
}

function remember(seen) {
  const keys = new Set(["all", "failed", "p99", "p50"]);
  history.addRate("all", seen.total.requests, seen.at);
  history.addRate("failed", seen.total.failed, seen.at);
  history.add("p99", seen.total.recent.p99_us || null);
  history.add("p50", seen.total.recent.p50_us || null);
  const note = (key, row) => { keys.add(key); history.addRate(key, row.requests, seen.at); };
  seen.rows.forEach((row) => note(`route ${row.key}`, row));
  seen.pools.forEach((pool) => pool.instances.forEach((row) => note(`instance ${pool.key} ${row.key}`, row)));
  history.keep(keys);
}

function showTraffic(seen) {
  const recent = seen.total.recent;
  tile("requests a second", perSecond(recent.rate));
  tile("p50", duration(recent.p50_us));
  tile("p95", duration(recent.p95_us));
  tile("p99", duration(recent.p99_us));
  tile("failed, last seconds", count(recent.failed));
  tile("client connections", count(seen.connections));
  rates.show([history.of("all"), history.of("failed")], `${perSecond(recent.rate)} a second, ${recent.failed} failed`);
  times.show([history.of("p99"), history.of("p50")], `p99 ${duration(recent.p99_us)}, p50 ${duration(recent.p50_us)}`);
}

function showRoutes(rows) {
  routes.show(rows);
  const place = at("routes");
  const shown = rows.length > 0 ? routes.element : null;
  if (shown && place.firstChild !== shown) place.replaceChildren(make("div", { class: "card" }, shown));
  if (!shown) place.replaceChildren(make("p", { class: "empty" }, "No route is configured."));
}

function poolView(pool) {
  if (!pools.has(pool.key)) {
    const name = make("span", { class: "name" });
    const rest = make("span", { class: "rest" });
    const empty = make("p", { class: "empty" });
    const table = new Table(`Instances of ${pool.name}`, instanceColumns(history, pool.key));
    const card = make("details", { class: "card", open: "" }, make("summary", {}, name, rest), table.element, empty);
    pools.set(pool.key, { name, rest, empty, table, card });
  }
  return pools.get(pool.key);
}

function showPool(pool, wanted) {
  const view = poolView(pool);
  const usable = pool.instances.filter((instance) => instance.state.level === "good").length;
  const matches = (row) => `${pool.name} ${row.name} ${row.state.name}`.toLowerCase().includes(wanted);
  const rows = pool.instances.filter(matches);
  say(view.name, pool.name);
  say(view.rest, `${usable} of ${pool.instances.length} up · ${pool.balance.replaceAll("_", " ")} · ${pool.sources}`);
  view.table.show(rows);
  view.table.element.hidden = rows.length === 0;
  view.empty.hidden = pool.instances.length > 0;
  say(view.empty, "No instance is known.");
  view.card.hidden = wanted !== "" && rows.length === 0;
  return view.card;
}

function showPools(seen) {
  const place = at("pools");
  const wanted = at("search").value.trim().toLowerCase();
  const keys = new Set(seen.pools.map((pool) => pool.key));
  for (const [key, view] of pools) {
    if (!keys.has(key)) { view.card.remove(); pools.delete(key); }
  }
  seen.pools.forEach((pool, i) => {
    const card = showPool(pool, wanted);
    if (place.children[i] !== card) place.insertBefore(card, place.children[i] ?? null);
  });
}

function show(seen) {
  say(at("verdict"), seen.verdict.text);
  at("verdict").className = seen.verdict.level;
  showTraffic(seen);
  showRoutes(seen.rows);
  showPools(seen);
}

function showFreshness(lost) {
  const place = at("freshness");
  place.classList.toggle("lost", lost);
  document.body.classList.toggle("stale", lost);
  if (!lost) { say(place, "Live, each second"); return; }
  const since = heardAt > 0 ? `Lost the proxy ${Math.round((Date.now() - heardAt) / 1000)} s ago` : "The proxy does not answer";
  say(place, `⚠ ${since}; asking again each second`);
}

async function turn() {
  try {
    const [told, upstreams] = await Promise.all([ask("routes"), ask("upstreams")]);
    heardAt = Date.now();
    last = picture(told, upstreams);
    remember(last);
    show(last);
    showFreshness(false);
  } catch {
    for (const key of ["all", "failed", "p99", "p50"]) history.add(key, null);
    showFreshness(true);
    if (last) {
      showTraffic(last); // the curves go on, with a gap
      say(at("verdict"), `When last heard: ${last.verdict.text}`);
      at("verdict").className = "";
    }
  }
  setTimeout(turn, EVERY_MS);
}

at("search").addEventListener("input", () => { if (last) showPools(last); });
turn();
