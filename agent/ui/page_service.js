// One service: its instances.
import { Table, crumbs, heading, nameOf, since, state } from "./dom.js";
import { endpoint } from "./model.js";
import { link } from "./router.js";

export const title = (params) => params.service;
export const paths = ["/ui/services/:service"];

export function show(place, context) {
  const table = new Table({ label: "Instances", columns: [
    { title: "Instance", cell: (instance) => nameOf(instance.id, link("services", instance.name, instance.node, instance.id)) },
    { title: "State", cell: (instance) => state(instance.state) },
    { title: "Node", cell: (instance) => nameOf(instance.node, link("nodes", instance.node)) },
    { title: "Address", cell: (instance) => endpoint(instance.address, instance.port) },
    { title: "For", cell: (instance) => since(instance.since) },
  ] });
  place.append(crumbs(["Services", link("services")]), heading(nameOf(context.params.service)), table.element);
  context.onCatalog((catalog) => table.show(catalog.services.get(context.params.service)?.instances ?? []));
}
