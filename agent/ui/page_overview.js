// One look: is everything well; if not, what, where, since when, why.
import { element, heading, nameOf, section, since, state } from "./dom.js";
import { verdict } from "./model.js";
import { link } from "./router.js";

export const name = "overview";
export const title = "Overview";
export const paths = ["/ui/"];

function fault(check) {
  return element("li", { class: "card" }, state(check.state), " ",
    nameOf(check.service || check.node, check.service ? link("services", check.service, check.node, check.serviceId) : link("nodes", check.node)),
    ` on ${check.node}: ${check.name}, for `, since(check.since), element("pre", {}, check.output));
}

export function show(place, context) {
  const summary = heading("Asking …");
  const list = element("ul", { class: "plain" });
  place.append(summary, section("What is wrong", list));
  context.onCatalog((catalog) => {
    const { state: word, text } = verdict(catalog);
    summary.replaceChildren(state(word), text);
    list.replaceChildren(...catalog.faults.slice(0, 20).map(fault));
  });
}
