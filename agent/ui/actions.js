// What can be done about a thing, as buttons. Each first says what will happen and whose the thing is; where it cannot be done
// from here, it says why and with which command it can.
import { command, onSelf } from "./answer.js";
import { confirm, element, say } from "./dom.js";
import * as model from "./model_actions.js";

const REASON = { name: "reason", label: "Reason, for all who will ask (the page, DNS tools and the log show it)", placeholder: "disk is being changed" };

async function carryOut(context, action, body) {
  const { method, path, refused } = action.request;
  const answer = await context.ask(path, { method, body: body ?? action.request.body });
  if (answer.body === false) throw new Error(refused || "the agent refused it");
}

function explain(action, why, wantsToken) {
  const shown = model.withReason(action, "why");
  const close = element("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "Close");
  const dialog = element("dialog", { "aria-labelledby": "explained" }, element("h2", { id: "explained" }, action.title),
    action.says.map((text) => element("p", {}, text)), element("p", {}, why), command(shown.command),
    element("p", { class: "faint" }, action.owner),
    wantsToken ? element("p", {}, element("a", { href: "/ui/settings" }, "To the settings")) : null,
    element("p", { class: "buttons" }, close));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// What an agent refuses in few words, told with what helps.
function advise(error, action) {
  if (error.kind === "lost") return new Error(`the agent did not answer (${error.message}): whether it was done is not known, look before you try again`);
  return new Error(/^40[13] /.test(error.message) ? `${error.message}. A token that allows it can be given on the settings page, or with -token to: ${action.command}`
    : error.message);
}

// Asks, then does it. body(): what is sent, where that is only known at the end. Resolves to true when it was done.
export async function perform(context, identity, action, { body } = {}) {
  const { allowed, why, wantsToken } = model.permission(action, { self: identity.self, acl: identity.acl, token: context.hasToken() });
  if (!allowed) {
    explain(action, why, wantsToken);
    return false;
  }
  const done = await confirm({
    title: action.title, text: action.says.join(" "), button: action.button, danger: action.danger,
    owner: [`${action.owner} At a shell: `, element("code", {}, action.command)], fields: action.reason ? [REASON] : [],
    act: async ({ reason }) => {
      const whole = model.withReason(action, reason ?? "");
      try {
        await carryOut(context, whole, body?.());
      } catch (error) {
        throw error.kind ? advise(error, whole) : error;
      }
    },
  });
  if (done) context.refresh();
  return done;
}

// Who we are, as far as it is known by now: an action that comes earlier takes tokens for used.
function identityOf(context) {
  const identity = { self: "", acl: false };
  onSelf(context, (known) => Object.assign(identity, known));
  return identity;
}

// make(): the action as things are when the button is pressed.
export function button(context, identity, label, make, { danger = false, after = () => {} } = {}) {
  const told = element("span", { class: "done", role: "status" });
  const press = async () => {
    const action = make();
    say(told, "");
    if (await perform(context, identity, action)) {
      say(told, "✓ Done");
      after();
    }
  };
  return element("span", { class: "action" }, element("button", { type: "button", class: danger ? "danger" : null, on: { click: press } }, label), told);
}

// Whether a service's file brings it back, as far as this agent knows it: of its own services only.
async function originOf(context, identity, node, id) {
  if (node !== identity.self) return "";
  try {
    const { body } = await context.ask("/v1/internal/ui/registrations");
    return body.find((service) => service.ID === id)?.Origin ?? "";
  } catch {
    return "";
  }
}

// Buttons for an instance {node, id, checks} of the catalog.
export function instanceActions(context, { node, id, checks }) {
  const identity = identityOf(context);
  const inMaintenance = checks.some((check) => check.id === `_service_maintenance:${id}`);
  let origin = "";
  originLater();
  async function originLater() {
    while (identity.self === "" && !context.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 200));
    origin = await originOf(context, identity, node, id);
  }
  return [
    button(context, identity, inMaintenance ? "Maintenance off …" : "Maintenance on …", () => model.serviceMaintenance(node, id, !inMaintenance)),
    button(context, identity, "Deregister …", () => model.deregister(node, id, origin), { danger: true }),
  ];
}

// All instances of a service have owners of their own: nothing is done to them at once.
export function serviceActions() {
  return [];
}

// Buttons for a node {name, liveness, checks} of the catalog.
export function nodeActions(context, { name, liveness, checks }) {
  const identity = identityOf(context);
  const inMaintenance = checks.some((check) => check.id === "_node_maintenance");
  const lives = liveness === "alive" || liveness === "suspect";
  return [
    button(context, identity, inMaintenance ? "Maintenance off …" : "Maintenance on …", () => model.nodeMaintenance(name, !inMaintenance)),
    lives ? null : button(context, identity, "Force to leave …", () => model.forceLeave(name, liveness), { danger: true }),
  ].filter(Boolean);
}

export { identityOf as identify };
