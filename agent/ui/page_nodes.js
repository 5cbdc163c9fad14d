// All nodes, as a list that may be long: the worst first, or the farthest, or the newest change.
import { Stable, onSelf } from "./answer.js";
import { element, heading, nameOf, say, since, state, tags, visible } from "./dom.js";
import { FilterBox } from "./filter_box.js";
import { rows, sorted } from "./model_nodes.js";
import { ms } from "./model_rtt.js";
import { link } from "./router.js";
import { VirtualList } from "./virtual.js";

export const title = "Nodes";
export const paths = ["/ui/nodes"];

const FACES = { alive: "alive", suspect: "silent, suspected", failed: "failed", leaving: "leaving", left: "left" };

function services(row) {
  if (row.services.length === 0) return element("span", { class: "faint" }, "none");
  return element("bdi", { title: row.services.join(", ") }, visible(row.services.join(", ")));
}

const columns = [
  { title: "State", sort: "state", class: "state-cell", cell: (row) => state(row.state) },
  { title: "Node", sort: "name", cell: (row) => [
    nameOf(row.name, link("nodes", row.name)), element("span", { class: "extra" }, row.server ? [" ", ...tags(["server"])] : null, row.self ? [" ", ...tags(["this agent"])] : null)] },
  { title: "Address", class: "extra", cell: (row) => row.address },
  { title: "Gossip", class: "extra", cell: (row) => FACES[row.liveness] ?? row.liveness },
  { title: "For", sort: "since", class: "extra", cell: (row) => since(row.since) },
  { title: "Checks", cell: (row) => (row.failing === 0 ? element("span", { class: "faint" }, `✓ ${row.total}`, element("span", { class: "extra" }, " passing"))
    : element("span", { class: "bad" }, `✗ ${row.failing}`, element("span", { class: "extra" }, ` of ${row.total}`))) },
  { title: "Services", sort: "services", class: "extra", cell: services },
  { title: "Round trip", sort: "rtt", class: "extra number", cell: (row) => (row.self ? "–" : ms(row.rtt)) },
  { title: "Version", sort: "version", class: "extra", cell: (row) => row.version || "–" },
];

export function show(place, context) {
  const known = { members: [], coordinates: [], self: "", order: context.query.sort || "state" };
  const stable = new Stable((row) => row.name);
  const list = new VirtualList({ label: "Nodes", kind: "nodes", columns, key: (row) => row.name, signal: context.signal, sorted: (order) => {
    known.order = context.query.sort = order;
    context.setQuery(context.query);
    draw();
  } });
  const box = new FilterBox(context, { label: "Filter nodes", changed: () => draw() });
  const nothing = element("p", { class: "empty" }, "Asking …");
  list.element.hidden = true;
  place.append(heading("Nodes", element("a", { class: "small", href: link("map") }, "Map of round-trip times")), box.element, list.element, nothing);

  function draw() {
    if (!context.catalog.ready) return;
    const all = stable.keep(rows(context.catalog.nodes.values(), known.members, known.coordinates, known.self));
    const fitting = all.filter(box.filter.matches);
    list.show(sorted(fitting, known.order));
    list.showSort(known.order, known.order !== "name" && known.order !== "version");
    list.element.hidden = fitting.length === 0;
    nothing.hidden = fitting.length > 0;
    say(nothing, all.length > 0 ? "No node fits." : "No node may be seen: a token with node:read shows them.");
    box.showCount(fitting.length, all.length, all.length === 1 ? "node" : "nodes");
  }

  context.onCatalog(draw);
  const also = (key) => ({ value }) => { if (value) { known[key] = value; draw(); } };
  context.live("/v1/agent/gossip/members", {}, also("members"));
  context.live("/v1/coordinate/nodes", {}, also("coordinates"));
  onSelf(context, ({ self }) => { known.self = self; draw(); });
}

export { FACES };
