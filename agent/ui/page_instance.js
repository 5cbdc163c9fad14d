// One instance: its checks.
import { Table, crumbs, element, heading, nameOf, since, state } from "./dom.js";
import { link } from "./router.js";

export const title = (params) => `${params.id} on ${params.node}`;
export const paths = ["/ui/services/:service/:node/:id"];

export function show(place, context) {
  const { service, node, id } = context.params;
  const table = new Table({ label: "Checks", columns: [
    { title: "Check", cell: (check) => check.name },
    { title: "State", cell: (check) => state(check.state) },
    { title: "For", cell: (check) => since(check.since) },
    { title: "Output", cell: (check) => element("pre", {}, check.output) },
  ], key: (check) => check.id });
  place.append(crumbs(["Services", link("services")], [service, link("services", service)]), heading(nameOf(id)), table.element);
  context.onCatalog((catalog) => table.show(catalog.instance(node, id)?.checks ?? []));
}
