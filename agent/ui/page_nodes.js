// All nodes, as a list that may be long: the worst first, or the farthest, or the newest change.
import { Stable, onSelf } from "./answer.js";
import { element, heading, nameOf, say, since, state, tags, visible } from "./dom.js";
import { matches, rows, sorted } from "./model_nodes.js";
import { ms } from "./model_rtt.js";
import { link } from "./router.js";
import { VirtualList, tellCount } from "./virtual.js";

export const title = "Nodes";
export const paths = ["/ui/nodes"];

const FACES = { alive: "alive", suspect: "silent, suspected", failed: "failed", leaving: "leaving", left: "left" };

function services(row) {
  if (row.services.length === 0) return element("span", { class: "faint" }, "none");
  return element("bdi", { title: row.services.join(", ") }, visible(row.services.join(", ")));
}

const columns = [
  { title: "State", sort: "state", class: "state-cell", cell: (row) => state(row.state) },
  { title: "Node", sort: "name", cell: (row) => [nameOf(row.name, link("nodes", row.name)), element("span", { class: "extra" }, row.server ? [" ", ...tags(["server"])] : null, row.self ? [" ", ...tags(["this agent"])] : null)] },
  { title: "Address", class: "extra", cell: (row) => row.address },
  { title: "Gossip", class: "extra", cell: (row) => FACES[row.liveness] ?? row.liveness },
  { title: "For", sort: "since", class: "extra", cell: (row) => since(row.since) },
  { title: "Checks", cell: (row) => (row.failing === 0 ? element("span", { class: "faint" }, `✓ ${row.checks}`, element("span", { class: "extra" }, " passing"))
    : element("span", { class: "bad" }, `✗ ${row.failing}`, element("span", { class: "extra" }, ` of ${row.checks}`))) },
  { title: "Services", sort: "services", class: "extra", cell: services },
  { title: "Round trip", sort: "rtt", class: "extra number", cell: (row) => (row.self ? "–" : ms(row.rtt)) },
  { title: "Version", sort: "version", class: "extra", cell: (row) => row.version || "–" },
];

export function show(place, context) {
  const known = { members: [], coordinates: [], self: "", order: context.query.sort || "state", words: context.query.q || "" };
  const stable = new Stable((row) => row.name);
  const list = new VirtualList({ label: "Nodes", kind: "nodes", columns, key: (row) => row.name, signal: context.signal, sorted: (order) => {
    known.order = order;
    draw();
  } });
  const count = element("span", { class: "count", role: "status" });
  const input = element("input", { type: "search", value: known.words, placeholder: "name, address, state, service, version or meta=value", autocomplete: "off",
    "aria-label": "Show only nodes with these words" });
  input.addEventListener("input", () => { known.words = input.value; draw(); });
  const nothing = element("p", { class: "empty" }, "Asking …");
  list.element.hidden = true;
  place.append(heading("Nodes"), element("div", { class: "filter" }, element("label", {}, input), count,
    element("a", { href: link("map") }, "Map of round-trip times")), list.element, nothing);

  function draw() {
    const all = stable.keep(rows(context.catalog.nodes.values(), known.members, known.coordinates, known.self));
    const fitting = all.filter((row) => matches(row, known.words.trim()));
    list.show(sorted(fitting, known.order));
    list.showSort(known.order, known.order !== "name" && known.order !== "version");
    list.element.hidden = fitting.length === 0;
    nothing.hidden = fitting.length > 0;
    say(nothing, all.length > 0 ? "No node fits these words." : "No node may be seen: a token with node:read shows them.");
    tellCount(count, fitting.length, all.length, all.length === 1 ? "node" : "nodes");
    context.setQuery({ q: known.words, sort: known.order === "state" ? "" : known.order });
  }

  context.onCatalog(draw);
  const also = (key) => ({ value }) => { if (value) { known[key] = value; if (context.catalog.ready) draw(); } };
  context.live("/v1/agent/gossip/members", {}, also("members"));
  context.live("/v1/coordinate/nodes", {}, also("coordinates"));
  onSelf(context, ({ self }) => { known.self = self; if (context.catalog.ready) draw(); });
}

export { FACES };
