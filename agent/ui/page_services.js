// All services: which of them are not well, found by what is known of their instances.
import { element, empty, heading, nameOf, since, state, tags } from "./dom.js";
import { FilterBox } from "./filter_box.js";
import { SEVERITY, byName, noService } from "./model.js";
import { index, ofService } from "./model_history.js";
import { share } from "./parts.js";
import { link } from "./router.js";
import { strip } from "./strip.js";
import { VirtualList } from "./virtual.js";

export const name = "services";
export const title = "Services";
export const paths = ["/ui/services"];

const REDRAW_MS = 30000;

// The natural direction of each: the worst, the most, the newest first.
const SORTS = {
  state: (a, b) => SEVERITY[b.state] - SEVERITY[a.state] || byName(a, b),
  name: byName,
  usable: (a, b) => b.total - a.total || byName(a, b),
  since: (a, b) => b.since - a.since || byName(a, b),
};

// Remembers of each service whether it matches: after a change only what is new is asked again.
function remembering(filter) {
  const known = new WeakMap();
  return (service) => {
    if (filter.isAll) return true;
    let fits = known.get(service);
    if (fits === undefined) known.set(service, fits = service.instances.some(filter.matches));
    return fits;
  };
}

function order(name, back) {
  const compare = SORTS[name];
  return back ? (a, b) => compare(b, a) : compare;
}

function columns(cells) {
  return [
    { title: "State", sort: "state", class: "state-cell", cell: (service) => state(service.state) },
    { title: "Service", sort: "name", class: "name-cell", cell: (service) => nameOf(service.name, link("services", service.name)) },
    { title: "Usable", sort: "usable", class: "usable-cell", cell: (service) => [element("span", { class: "keep" }, `${service.usable} of ${service.total}`), share(service.states)] },
    { title: "Last hour", class: "hour-cell", cell: (service) => strip(cells(service)) },
    { title: "For", sort: "since", class: "since-cell", cell: (service) => since(service.since) },
    { title: "Tags", class: "tags-cell", cell: (service) => tags(service.tags.slice(0, 12)) },
  ];
}

export function show(place, context) {
  let things = new Map();
  let fits = () => true;
  const sort = { name: Object.hasOwn(SORTS, context.query.sort ?? "") ? context.query.sort : "state", back: context.query.back === "1" };
  const list = new VirtualList({ label: "Services", kind: "services", signal: context.signal, sorted,
    columns: columns((service) => ofService(service, context.catalog.nodes, things, Date.now(), context.knownSince())) });
  const box = new FilterBox(context, { label: "Filter services", changed: (filter) => { fits = remembering(filter); draw(); } });
  const none = empty("");
  fits = remembering(box.filter);

  function draw() {
    const all = context.catalog.serviceList;
    const shown = all.filter(fits).sort(order(sort.name, sort.back));
    box.showCount(shown.length, all.length, all.length === 1 ? "service" : "services");
    list.showSort(sort.name, (sort.name === "name") === sort.back);
    list.element.hidden = shown.length === 0;
    none.hidden = shown.length > 0 || !context.catalog.ready;
    none.textContent = all.length > 0 ? "No service has an instance like that." : noService(context.catalog);
    list.show(shown);
  }

  function sorted(by) {
    sort.back = sort.name === by && !sort.back;
    sort.name = by;
    Object.assign(context.query, { sort: by, back: sort.back ? "1" : "" });
    context.setQuery({ ...context.query, q: box.input.value.trim() });
    draw();
  }

  place.append(heading("Services"), box.element, list.element, none);
  context.onCatalog(draw);
  context.events((events) => { things = index(events); list.redraw(); });
  const timer = setInterval(() => { if (!document.hidden) list.redraw(); }, REDRAW_MS);
  context.signal.addEventListener("abort", () => clearInterval(timer));
}
