// What this browser keeps for itself: theme, following or not, the token; and how the filters are written.
import { onSelf, redraw } from "./answer.js";
import { element, facts, heading, say, section } from "./dom.js";
import { filterHelp } from "./filter_box.js";

export const title = "Settings";
export const paths = ["/ui/settings"];

function choice(name, now, options, chosen) {
  return element("div", { class: "choice", role: "radiogroup", "aria-label": name }, options.map(([value, label]) => element("label", {},
    element("input", { type: "radio", name, value, checked: value === now, on: { change: () => chosen(value) } }), ` ${label}`)));
}

export function show(place, context) {
  const { settings } = context;
  const told = element("p", { role: "status", class: "faint" });
  const about = element("div", { class: "card" });
  const secret = element("input", { type: "password", autocomplete: "off", spellcheck: "false", "aria-label": "Secret ID of a token" });
  const check = async () => {
    try {
      const { body } = await context.ask("/v1/acl/token/self");
      say(told, `It is known: ${body.Description || body.AccessorID}${body.Policies ? `, policies ${body.Policies.map((p) => p.Name).join(", ")}` : ""}.`);
    } catch (error) {
      say(told, error.status === 401 ? "Tokens are not in use here; it does no harm." : `It is not taken: ${error.message}.`);
    }
  };
  const use = (event) => { event.preventDefault(); settings.setToken(secret.value.trim()); secret.value = ""; check(); };
  const forget = () => { settings.setToken(""); say(told, "Forgotten."); };
  place.append(heading("Settings"),
    section("Theme", choice("Theme", settings.theme(), [["", "as the system"], ["light", "light"], ["dark", "dark"]], settings.setTheme)),
    section("Updates", choice("Updates", settings.follows() ? "on" : "off", [["on", "live: changes are shown as they happen"], ["off", "off: what is shown stays until the page is loaded again"]],
      (value) => settings.setFollows(value === "on"))),
    section("Token", element("p", {}, "Where tokens are in use, it decides what is shown, and every action needs one. It is kept in this tab only and sent to this agent alone."),
      element("form", { class: "filter", on: { submit: use } }, element("label", {}, secret), element("button", { type: "submit", class: "primary" }, "Use it"),
        context.hasToken() ? element("button", { type: "button", on: { click: forget } }, "Forget it") : null), told),
    section("Filters", element("p", {}, "Over services, instances and nodes. All that is typed must hold; of a node, its services are its tags."), element("div", { class: "card" }, filterHelp())),
    section("This agent", about));
  onSelf(context, (known) => redraw(about, known, () => facts([["Agent", known.self], ["Datacenter", known.datacenter], ["Version", known.version], ["Tokens", known.acl ? "in use" : "not in use"],
    ["Default without a rule", known.settings.acl?.default_policy ?? null]])));
}
