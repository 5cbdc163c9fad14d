// A map of round-trip times: who is near whom, and who is far from everybody. From Vivaldi coordinates: two of the eight axes,
// those in which nodes differ most, and around each node a ring of its height, the time that its own access takes.
import { Stable, follow, onSelf, redraw } from "./answer.js";
import { Table, element, empty, heading, nameOf, say, svg } from "./dom.js";
import { ms, project, round, times } from "./model_rtt.js";
import { link } from "./router.js";

export const title = "Map of round-trip times";
export const paths = ["/ui/map"];

const WIDTH = 720;
const HEIGHT = 520;
const EDGE = 60;
const NAMES_MAX = 40; // more are only written for the slowest and this agent
const ROWS_MAX = 200;

// From ms to the picture, the same scale in both directions.
function scaleOf(points) {
  const reach = Math.max(...points.map((p) => Math.max(Math.abs(p.x) / (WIDTH / 2 - EDGE), Math.abs(p.y) / (HEIGHT / 2 - EDGE))), 1e-6);
  return 1 / reach;
}

// Names where nothing is written yet, the most important first.
function labels(points, wanted) {
  const taken = [];
  const out = [];
  for (const p of wanted) {
    const text = p.node.length > 24 ? `${p.node.slice(0, 23)}…` : p.node;
    const width = 7.2 * text.length + 10;
    const left = p.cx + width > WIDTH - 4;
    const box = { x: left ? p.cx - width - 8 : p.cx + 8, y: p.cy - 9, w: width, h: 18 };
    if (p.must || !taken.some((t) => t.x < box.x + box.w && box.x < t.x + t.w && t.y < box.y + box.h && box.y < t.y + t.h)) {
      taken.push(box);
      out.push({ ...p, text, at: left ? p.cx - 10 : p.cx + 10, anchor: left ? "end" : "start" });
    }
  }
  return out;
}

function picture(nodes, found, from) {
  const { points, kept } = project(nodes);
  const scale = scaleOf(points);
  const slowest = found[0]?.node;
  const placed = points.map((p) => ({ ...p, cx: WIDTH / 2 + p.x * scale, cy: HEIGHT / 2 + p.y * scale, r: Math.min(p.height * scale, 120),
    must: p.node === slowest || p.node === from }));
  const wanted = placed.filter((p) => p.must).concat(placed.length <= NAMES_MAX ? placed.filter((p) => !p.must) : []);
  const unit = round(160 / scale);
  const marks = placed.map((p) => svg("g", { class: p.node === slowest ? "slow" : p.node === from ? "own" : "node" },
    svg("title", {}, `${p.node}: median round trip ${ms(found.find((t) => t.node === p.node)?.typical)}`),
    svg("circle", { class: "height", cx: p.cx, cy: p.cy, r: Math.max(p.r, 1) }),
    p.node === slowest ? svg("path", { class: "dot", d: `M${p.cx} ${p.cy - 8}l8 14h-16z` }) : svg("circle", { class: "dot", cx: p.cx, cy: p.cy, r: p.node === from ? 6 : 4.5 })));
  const texts = labels(placed, wanted).map((p) => svg("text", { x: p.at, y: p.cy + 5, "text-anchor": p.anchor, class: p.node === slowest ? "slow" : null },
    p.node === slowest ? `${p.text} (slowest)` : p.node === from ? `${p.text} (from here)` : p.text));
  return svg("svg", { class: "map", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Map of ${nodes.length} nodes; the slowest is ${slowest}. The table beside it has the same in words.` },
    marks, texts, svg("path", { class: "scale", d: `M20 ${HEIGHT - 26}v8h${unit * scale}v-8` }),
    svg("text", { x: 24, y: HEIGHT - 24, class: "scale" }, `${ms(unit)}${kept < 0.9 ? `, ${Math.round(kept * 100)} % of the differences can be drawn` : ""}`));
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
  place.classList.add("map-page");
  place.append(heading("Map of round-trip times"), verdict,
    follow(context, "/v1/coordinate/nodes", { needs: "node:read" }, (value) => { known.nodes = [...value].sort((a, b) => (a.Node < b.Node ? -1 : 1)); draw(); }),
    element("div", { class: "beside" }, drawing, element("div", {}, element("label", { class: "filter" }, "Times from ", choice), table.element, more)),
    element("details", { class: "help" }, element("summary", {}, "How to read it"),
      element("p", {}, "Agents measure round trips with every probe and keep a coordinate each (Vivaldi). The time between two nodes is the distance of their dots plus "
        + "both rings: a ring is what a node's own access adds to every trip. Two axes cannot show everything, so distances may look shorter than they are; "
        + "the table has the estimates themselves, as does "), element("code", {}, "rollcall rtt A B")));

  function draw() {
    const from = known.from || known.self;
    const found = times(known.nodes, from);
    redraw(choice, [known.nodes.map((n) => n.Node), from], () => known.nodes.map((n) => element("option", { value: n.Node, selected: n.Node === from }, n.Node)));
    table.show(stable.keep(found.slice(0, ROWS_MAX)));
    say(more, found.length > ROWS_MAX ? `The slowest ${ROWS_MAX} of ${found.length}.` : "");
    if (found.length === 0) { drawing.replaceChildren(empty("Nobody has measured a round trip yet.")); return; }
    const [first] = found;
    redraw(drawing, [known.nodes, from], () => picture(known.nodes, found, from));
    say(verdict, found.length > 1 ? `Slowest: ${first.node}, ${ms(first.typical)} to the others (median); all nodes: ${ms(found[found.length >> 1].typical)}.`
      : "There is one node: no trips yet.");
  }

  onSelf(context, ({ self }) => { if (known.self !== self) { known.self = self; draw(); } });
}
