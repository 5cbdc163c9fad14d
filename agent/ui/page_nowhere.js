// An address that no page answers to.
import { element, heading } from "./dom.js";

export const title = "Not found";
export const paths = [];

export function show(place) {
  place.append(heading("There is no such page"), element("p", {}, "Nothing is at this address. ", element("a", { href: "/ui/" }, "To the overview")));
}
