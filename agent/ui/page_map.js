// A map of round-trip times: who is near whom, and who is far from everybody. From Vivaldi coordinates: two of the eight axes,
// those in which nodes differ most, and around each node a ring of its height, the time that its own access takes.
import { Stable, follow, onSelf, redraw } from "./answer.js";
import { Table, element, empty, heading, nameOf, say, svg, visible } from "./dom.js";
import { ms, project, round, times } from "./model_rtt.js";
import { link } from "./router.js";

export const title = "Map of round-trip times";
export const paths = ["/ui/map"];

const EDGE = 56;
const NAMES_MAX = 40; // more are only written for the slowest and this agent
const ROWS_MAX = 50;
const RINGS_MAX = 300; // with more nodes, rings would hide everything

// Names where nothing is written yet, the most important first.
function labels(wanted, width) {
  const taken = [];
  const out = [];
  for (const p of wanted) {
    const name = visible(p.node);
    const note = p.slow ? " (slowest)" : p.own ? " (from here)" : "";
    const rightwards = width - p.cx > p.cx || 8 * (name.length + note.length) + 12 < width - p.cx;
    const room = Math.min(24, Math.floor(((rightwards ? width - p.cx : p.cx) - 12) / 8) - note.length);
    const text = (name.length > room ? `${name.slice(0, Math.max(room - 1, 3))}…` : name) + note;
    const wide = 8 * text.length + 12;
    const left = !rightwards;
    const box = { x: left ? p.cx - wide : p.cx, y: p.cy - 9, w: wide, h: 18 };
    if (taken.some((t) => t.x < box.x + box.w && box.x < t.x + t.w && t.y < box.y + box.h && box.y < t.y + t.h)) continue;
    taken.push(box);
    out.push(svg("text", { x: left ? p.cx - 10 : p.cx + 10, y: p.cy + 5, "text-anchor": left ? "end" : "start", class: p.slow ? "slow" : null }, text));
  }
  return out;
}

function mark(p, typical) {
  return svg("g", { class: p.slow ? "slow" : p.own ? "own" : "node" }, svg("title", {}, `${visible(p.node)}: median round trip ${ms(typical)}`),
    p.ring ? svg("circle", { class: "height", cx: p.cx, cy: p.cy, r: Math.max(p.r, 1) }) : null,
    p.slow ? svg("path", { class: "dot", d: `M${p.cx} ${p.cy - 8}l8 14h-16z` }) : svg("circle", { class: "dot", cx: p.cx, cy: p.cy, r: p.own ? 6 : 4.5 }));
}

// As wide as its place; the same scale in both directions.
function picture(nodes, found, from, width) {
  const { points, kept } = project(nodes);
  // Room for the rings, too, as long as that does not press the nodes together.
  const reach = (axis) => {
    const far = Math.max(...points.map((p) => Math.abs(p[axis])), 1e-6);
    return points.length > RINGS_MAX ? far : Math.min(Math.max(...points.map((p) => Math.abs(p[axis]) + p.height)), 1.5 * far);
  };
  const scale = Math.min((width / 2 - EDGE) / reach("x"), 220 / reach("y"));
  const height = Math.max(240, 2 * (reach("y") * scale + EDGE));
  const typical = new Map(found.map((t) => [t.node, t.typical]));
  const slowest = found[0].node;
  const placed = points.map((p) => ({ ...p, cx: width / 2 + p.x * scale, cy: height / 2 + p.y * scale, r: Math.min(p.height * scale, 120), slow: p.node === slowest, own: p.node === from,
    ring: points.length <= RINGS_MAX || p.node === slowest || p.node === from }));
  placed.sort((a, b) => a.slow - b.slow || a.own - b.own); // who matters is drawn over the others
  const wanted = [...placed].reverse().filter((p) => p.slow || p.own || placed.length <= NAMES_MAX);
  const unit = round(150 / scale);
  return svg("svg", { class: "map", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Map of ${nodes.length} nodes; the slowest is ${slowest}. The table beside it has the same in words.` },
    placed.map((p) => mark(p, typical.get(p.node))), labels(wanted, width), svg("path", { class: "scale", d: `M12 ${height - 18}v8h${unit * scale}v-8` }),
    svg("text", { x: 12, y: height - 24, class: "scale" }, `${ms(unit)}${kept < 0.9 ? ` (two axes show ${Math.round(kept * 100)} % of the differences)` : ""}`));
}

const columns = [
  { title: "Node", cell: (t) => nameOf(t.node, link("nodes", t.node)) },
  { title: "Median", class: "number", cell: (t) => ms(t.typical) },
  { title: "From there", class: "number", cell: (t) => (t.from === 0 ? "–" : ms(t.from)) },
  { title: "Height", class: "number", cell: (t) => ms(t.height) },
];

export function show(place, context) {
  const known = { nodes: [], from: context.query.from || "", self: "" };
  const stable = new Stable((t) => t.node);
  const verdict = element("p", { class: "verdict-line", role: "status" });
  const drawing = element("div", { class: "card" });
  const choice = element("select", { "aria-label": "Times from" });
  const more = element("p", { class: "faint small" });
  const table = new Table({ label: "Round-trip times, the slowest first", columns, key: (t) => t.node, none: "No coordinates are known yet." });
  choice.addEventListener("change", () => { known.from = choice.value; context.setQuery({ from: known.from === known.self ? "" : known.from }); draw(); });
  const beside = element("div", { class: "beside" }, drawing, element("div", {}, element("label", { class: "filter" }, "Times from ", choice), table.element, more));
  place.append(heading("Map of round-trip times"), verdict,
    follow(context, "/v1/coordinate/nodes", { needs: "node:read", parts: [beside] }, (value) => { known.nodes = [...value].sort((a, b) => (a.Node < b.Node ? -1 : 1)); draw(); }),
    beside,
    element("details", { class: "help" }, element("summary", {}, "How to read it"),
      element("p", {}, "Agents measure round trips with every probe and keep a coordinate each (Vivaldi). The time between two nodes is the distance of their dots plus "
        + "both rings: a ring is what a node's own access adds to every trip. Two axes cannot show everything, so distances may look shorter than they are; "
        + "the table has the estimates themselves, as does "), element("code", {}, "rollcall rtt A B")));

  function draw() {
    const from = known.from || known.self;
    const found = times(known.nodes, from);
    redraw(choice, [known.nodes.map((n) => n.Node), from], () => known.nodes.map((n) => element("option", { value: n.Node, selected: n.Node === from }, visible(n.Node))));
    table.show(stable.keep(found.slice(0, ROWS_MAX)));
    say(more, found.length > ROWS_MAX ? `The slowest ${ROWS_MAX} of ${found.length}.` : "");
    if (found.length === 0) { drawing.replaceChildren(empty("Nobody has measured a round trip yet.")); return; }
    const [first] = found;
    const width = Math.max(300, drawing.clientWidth - 32);
    drawing.replaceChildren(picture(known.nodes, found, from, width));
    say(verdict, found.length > 1 ? `Slowest: ${visible(first.node)}, ${ms(first.typical)} to the others (median); all nodes: ${ms(found[found.length >> 1].typical)}.`
      : "There is one node: no trips yet.");
  }

  addEventListener("resize", draw, { signal: context.signal });
  onSelf(context, ({ self }) => { if (known.self !== self) { known.self = self; draw(); } });
}
