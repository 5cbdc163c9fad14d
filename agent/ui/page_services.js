// All services, as a list that may be long.
import { element, heading, nameOf, state, tags } from "./dom.js";
import { link } from "./router.js";
import { VirtualList } from "./virtual.js";

export const title = "Services";
export const paths = ["/ui/services"];

export function show(place, context) {
  const list = new VirtualList({ label: "Services", kind: "services", signal: context.signal, columns: [
    { title: "State", cell: (service) => state(service.state) },
    { title: "Name", cell: (service) => nameOf(service.name, link("services", service.name)) },
    { title: "Usable", cell: (service) => `${service.usable} of ${service.total}` },
    { title: "Tags", cell: (service) => tags(service.tags) },
  ] });
  place.append(heading("Services"), list.element, element("p"));
  context.onCatalog((catalog) => list.show(catalog.serviceList));
}
