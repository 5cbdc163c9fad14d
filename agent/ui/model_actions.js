// What an action on the cluster does, to whom it belongs, and where it can be done: as words, a request and a command. Pure.

// As a shell takes it for one word.
export function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

const component = encodeURIComponent;

// A service that its keeper or proxy registers again by itself, whoever deregisters it.
function returns(origin, id, node) {
  if (origin === "config") {
    return `It stands in the configuration of ${node}'s agent, so it comes back at the next reload or restart: take its block out there first.`;
  }
  if (origin === "api") return `A program registered "${id}" through the API of ${node}'s agent; that program may register it again.`;
  return "If a configuration file has it, it comes back at the next reload; a program that registered it may do so again.";
}

// The last healthy instance of a service is not taken away from here: `rollcall maint -force` does it all the same.
const carefully = (on) => (on ? "&safe=true" : "");

// Each action has:
//   title, button: what it is called      says: [what will happen ..]     owner: whose it is
//   at: "" (any agent can do it) or the node whose own agent must         command: the same at a shell
//   request: {method, path, body?}                                        reason: whether it asks for one
//   danger: it takes something away
export function nodeMaintenance(node, on) {
  return {
    title: `${on ? "Take" : "Bring"} node ${node} ${on ? "out of" : "back into"} service`, button: on ? "Maintenance on" : "Maintenance off",
    says: on
      ? [`Every instance on ${node} counts as critical: DNS, passing lists and proxies leave all of them out within moments.`,
        "Nothing is stopped, and checks go on. It stays so over restarts until it is switched off."]
      : [`The instances on ${node} are answered for again, as far as their own checks pass.`],
    owner: `The agent of ${node} keeps it.`, at: node, reason: on, danger: on,
    request: { method: "PUT", path: `/v1/agent/maintenance?enable=${on}${carefully(on)}` },
    command: `rollcall maint ${on ? "-enable -reason=REASON" : "-disable"}`,
  };
}

export function serviceMaintenance(node, id, on) {
  return {
    title: `${on ? "Take" : "Bring"} ${id} on ${node} ${on ? "out of" : "back into"} service`, button: on ? "Maintenance on" : "Maintenance off",
    says: on
      ? [`This instance counts as critical: DNS, passing lists and proxies leave it out within moments; sessions that are open go on.`,
        "The program is not stopped. It stays so over restarts until it is switched off."]
      : ["The instance is answered for again, as far as its checks pass."],
    owner: `The agent of ${node} keeps it.`, at: node, reason: on, danger: on,
    request: { method: "PUT", path: `/v1/agent/service/maintenance/${component(id)}?enable=${on}${carefully(on)}` },
    command: `rollcall maint ${on ? "-enable" : "-disable"} -service=${quote(id)}${on ? " -reason=REASON" : ""}`,
  };
}

export function deregister(node, id, origin) {
  return {
    title: `Deregister ${id} on ${node}`, button: "Deregister",
    says: ["The instance and its checks go from the catalog of every agent; names that only it answered to are unknown then.",
      "The program itself is not stopped."],
    owner: returns(origin, id, node), at: node, danger: true,
    request: { method: "PUT", path: `/v1/agent/service/deregister/${component(id)}` },
    command: `rollcall services deregister -id ${quote(id)}`,
  };
}

export function forceLeave(node, state) {
  const lives = state === "alive" || state === "suspect";
  return {
    title: `Count ${node} as one that left`, button: "Force to leave",
    says: [`${node} and all it offers go from the catalog of every agent now, instead of when its time has run out.`,
      lives ? `${node} is ${state}: an agent that lives comes back by itself within a moment, with all it offers.`
        : "Should its agent start again, it joins again with all it offers."],
    owner: "Any agent can do it, for the whole pool.", at: "", danger: true,
    request: { method: "PUT", path: `/v1/agent/force-leave/${component(node)}` },
    command: `rollcall force-leave ${quote(node)}`,
  };
}

export function switchover(cluster, from, to) {
  return {
    title: `Switch ${cluster} over from ${from} to ${to}`, button: "Switch over",
    says: [`${from} is stopped cleanly, ${to} gets the rest of its log and becomes primary; ${from} follows it.`,
      "Nothing is lost. Writes wait for some hundred milliseconds; a proxy cuts sessions with the old primary and lets new ones wait.",
      "It is refused, with the reason, where it could lose anything."],
    owner: "The keepers of both nodes carry it out.", at: "", danger: true,
    request: { method: "PUT", path: `/v1/postgres/${component(cluster)}/switchover`, body: JSON.stringify({ To: to }) },
    command: `rollcall pg switchover -cluster ${quote(cluster)} -to ${quote(to)}`,
  };
}

export function cancel(cluster) {
  return {
    title: `Take back what is planned for ${cluster}`, button: "Cancel the plan", says: ["The planned switchover will not happen."],
    owner: "The keepers of the cluster look at it.", at: "",
    request: { method: "PUT", path: `/v1/postgres/${component(cluster)}/cancel`, body: "{}" },
    command: `rollcall pg switchover -cancel -cluster ${quote(cluster)}`,
  };
}

export function pause(cluster, on) {
  return {
    title: `${on ? "Pause" : "Resume"} ${cluster}`, button: on ? "Pause" : "Resume",
    says: on ? ["The keepers watch, but act no more: if the primary is lost, nobody takes its place until it is resumed."]
      : ["The keepers act again: a lost primary is replaced."],
    owner: "It is kept in the store, for all keepers of the cluster.", at: "", danger: on,
    request: { method: "PUT", path: `/v1/postgres/${component(cluster)}/${on ? "pause" : "resume"}`, body: "{}" },
    command: `rollcall pg ${on ? "pause" : "resume"} -cluster ${quote(cluster)}`,
  };
}

// `index`: the ModifyIndex it was read at; 0: only if it is not there yet.
export function putKey(key, index, session) {
  return {
    title: index > 0 ? `Change ${key}` : `Create ${key}`, button: index > 0 ? "Write" : "Create",
    says: [index > 0 ? `Written only if nobody has changed it since it was read (index ${index}).` : "Written only if there is none of that name yet.",
      ...(session ? [`It is locked by session ${session}. Locks are advisory: the write succeeds, and its holder is not asked.`] : []),
      ...(key.startsWith("rollcall/") ? ["Keys below rollcall/ are rollcall's own, of keepers of PostgreSQL among others: a wrong value can stop a cluster."] : [])],
    owner: "The store keeps it, for the whole pool.", at: "", danger: key.startsWith("rollcall/"),
    request: { method: "PUT", path: `/v1/kv/${component(key)}?cas=${index}`, refused: "somebody else was faster, so nothing is written; read it again" },
    command: `rollcall kv put -cas -modify-index=${index} ${quote(key)} VALUE`,
  };
}

export function deleteKey(key, index, session) {
  return {
    title: `Delete ${key}`, button: "Delete",
    says: [`The key and its value are gone, if nobody has changed it since it was read (index ${index}).`,
      ...(session ? [`It is locked by session ${session}, whose holder is not asked.`] : []),
      ...(key.startsWith("rollcall/") ? ["Keys below rollcall/ are rollcall's own: without it a cluster of PostgreSQL may stop."] : [])],
    owner: "The store keeps it, for the whole pool. There is no way back but a snapshot.", at: "", danger: true,
    request: { method: "DELETE", path: `/v1/kv/${component(key)}?cas=${index}`, refused: "somebody has changed it meanwhile; read it again" },
    command: `rollcall kv delete -cas -modify-index=${index} ${quote(key)}`,
  };
}

export function destroySession(session, locks) {
  const fate = session.Behavior === "delete" ? "deleted" : "released";
  return {
    title: `Destroy session ${session.Name || session.ID}`, button: "Destroy",
    says: [locks.length === 0 ? "It holds no lock."
      : `Its ${locks.length === 1 ? "lock is" : `${locks.length} locks are`} ${fate}: ${locks.slice(0, 5).map((l) => l.Key).join(", ")}${locks.length > 5 ? " …" : ""}.`,
      `Whoever works under it on ${session.Node} must stop; a keeper of PostgreSQL demotes its server.`],
    owner: `A program on ${session.Node} created it and may create another.`, at: "", danger: true,
    request: { method: "PUT", path: `/v1/session/destroy/${component(session.ID)}` },
    command: `rollcall session destroy ${quote(session.ID)}`,
  };
}

// With the reason that was given, where it asks for one.
export function withReason(action, text) {
  if (!action.reason) return action;
  const reason = text.trim() || "taken out by hand from the status page";
  return {
    ...action,
    request: { ...action.request, path: `${action.request.path}&reason=${component(reason)}` },
    command: action.command.replace("REASON", () => quote(reason)),
  };
}

// Whether this page may do it now, and if not, why and what to do instead. `self`: this agent's node; `acl`: tokens are in
// use; `token`: one is given.
export function permission(action, { self, acl, token }) {
  if (action.at !== "" && action.at !== self) {
    return { allowed: false, why: `Only ${action.at}'s own agent can do it, and this is the agent of ${self || "another node"}. On ${action.at}:` };
  }
  if (acl && !token) return { allowed: false, why: "Tokens are in use: give one that allows it on the settings page. Or at a shell:", wantsToken: true };
  return { allowed: true, why: "" };
}
