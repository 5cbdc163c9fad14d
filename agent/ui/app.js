// The page: one blocking query keeps the picture of the cluster fresh; every change is drawn at once.
import { build } from "./model.js";
import { drawFaults, drawNodes, drawPostgres, drawServices, drawVerdict } from "./view.js";

const POSTGRES = "/v1/postgres";
const POSTGRES_EVERY_MS = 2000;
const NODES = "/v1/internal/ui/nodes";
const WAIT = "60s";
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10000;
const TOKEN = "rollcall-token";
const at = (id) => document.getElementById(id);
const freshness = at("freshness");
let model = null;
let freshAt = null;

function draw() {
  const now = Date.now();
  drawVerdict(at("verdict"), model);
  drawFaults(at("failing"), at("failing-list"), model, now);
  drawServices(at("services"), model, at("search").value.trim(), now);
  drawNodes(at("nodes"), model, now);
}

function tellFresh() {
  freshness.classList.remove("lost");
  freshness.textContent = `Live; last change ${new Date(freshAt).toLocaleTimeString()}`;
}

// Nothing to see is not the same as nothing wrong.
function tellHidden() {
  freshness.classList.add("lost");
  freshness.textContent = "Nothing may be seen with this token, or without one.";
}

function tellLost(error) {
  freshness.classList.add("lost");
  freshness.textContent = `No answer from the agent (${error.message})${freshAt ? `; shown: ${new Date(freshAt).toLocaleTimeString()}` : ""}. Trying again.`;
}

// Asked for when the agent refuses, or leaves something out because of the token.
function wantToken(response) {
  if (response.status === 403 || response.headers.has("X-Consul-Results-Filtered-By-ACLs")) at("token-form").hidden = false;
  else if (response.ok) at("token-form").hidden = true;
}

async function ask(path) {
  const headers = { Accept: "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers["X-Consul-Token"] = token;
  const response = await fetch(path, { headers, cache: "no-store" });
  if (path.startsWith(NODES)) wantToken(response);
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).slice(0, 200)}`);
  return {
    body: await response.json(),
    index: Number(response.headers.get("X-Consul-Index")) || 0,
    filtered: response.headers.has("X-Consul-Results-Filtered-By-ACLs"),
  };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function follow() {
  let index = 0;
  let retry = RETRY_FIRST_MS;
  for (;;) {
    try {
      const answer = await ask(index > 0 ? `${NODES}?index=${index}&wait=${WAIT}` : NODES);
      if (answer.index !== index || model === null) {
        model = build(answer.body);
        freshAt = Date.now();
        draw();
        if (answer.filtered && answer.body.length === 0) at("verdict").replaceChildren();
      }
      if (answer.filtered && answer.body.length === 0) tellHidden();
      else tellFresh();
      index = answer.index < index ? 0 : answer.index;
      retry = RETRY_FIRST_MS;
    } catch (error) {
      tellLost(error);
      index = 0;
      await pause(retry);
      retry = Math.min(retry * 2, RETRY_MAX_MS);
    }
  }
}

// Without a store, or without the right to read them, there are no clusters to be shown.
async function lookAtPostgres() {
  try {
    const { body } = await ask(`${POSTGRES}?stale`);
    const clusters = await Promise.all(body.map(({ Cluster }) => ask(`${POSTGRES}/${encodeURIComponent(Cluster)}?stale`)));
    drawPostgres(at("postgres"), at("postgres-clusters"), clusters.map((answer) => answer.body));
  } catch {
    drawPostgres(at("postgres"), at("postgres-clusters"), []);
  }
}

async function introduce() {
  try {
    const { body } = await ask("/v1/agent/self");
    at("whoami").textContent = `as ${body.Config.NodeName} in ${body.Config.Datacenter} sees it`;
    document.title = `rollcall: ${body.Config.NodeName}`;
  } catch {
    // The freshness line tells when the agent does not answer; the name can wait.
  }
}

at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = at("token").value.trim();
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
  location.reload();
});
at("search").addEventListener("input", () => model && draw());
// "for 12 s" grows by itself.
setInterval(() => model && model.counts.nodes > 0 && !document.hidden && draw(), 5000);
setInterval(() => !document.hidden && lookAtPostgres(), POSTGRES_EVERY_MS);
lookAtPostgres();
introduce();
follow();
