// Asking the agent, and staying up to date: one blocking query or one regular question a source.
// Pure but for fetch and timers: the page and its worker (gather.js) both use it.

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5000;
const WAIT_S = 60;
const GROWN_MAX = 4096; // what an agent keeps of its events
const GRACE_MS = 15000; // the agent adds up to a sixteenth to a wait

// What went wrong, for people; kind is "lost" (no answer), "refused" (401, 403), "absent" (404, 501) or "failed".
export class AskError extends Error {
  constructor(kind, status, text) {
    super(text);
    this.kind = kind;
    this.status = status;
  }
}

function kindOf(status) {
  if (status === 401 || status === 403) return "refused";
  return status === 404 || status === 501 ? "absent" : "failed";
}

function headersOf(token, body) {
  const headers = { Accept: "application/json" };
  if (token) headers["X-Consul-Token"] = token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return headers;
}

async function send(path, options, signal) {
  const { token, method = "GET", body } = options;
  try {
    return await fetch(path, { method, signal, headers: headersOf(token, body), cache: "no-store",
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body) });
  } catch (error) {
    throw new AskError("lost", 0, error.name === "TimeoutError" ? "no answer in time" : "the connection broke");
  }
}

// One request. Answers { body, text, status, index, filtered }; body is null where the answer is no JSON.
export async function ask(path, options = {}) {
  const timeout = AbortSignal.timeout(options.timeout ?? 10000);
  const response = await send(path, options, options.signal ? AbortSignal.any([options.signal, timeout]) : timeout);
  let text;
  try {
    text = await response.text();
  } catch {
    throw new AskError("lost", response.status, "the answer broke off");
  }
  if (!response.ok) throw new AskError(kindOf(response.status), response.status, `${response.status} ${text.slice(0, 300).trim()}`.trim());
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // a write's empty answer, an agent behind something that answers pages: the text says it
  }
  return { body, text, status: response.status, index: Number(response.headers.get("X-Consul-Index")) || 0,
    filtered: response.headers.has("X-Consul-Results-Filtered-By-ACLs") };
}

// Ends early when the source is stopped or kicked.
const pause = (ms, signal) => new Promise((resolve) => {
  if (signal.aborted) { resolve(); return; }
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

// Asks `path` for as long as it is started. heard(answer) at each change (each time with `everyMs`), at once at each
// answer alive(), lost(error, retryMs) when there is none. Without everyMs the query blocks until something changes; with `grows` it
// asks for what came after the last one (?after=) and heard() is told the whole list.
export class Follower {
  constructor(path, { everyMs = 0, grows = false, patienceMs = GRACE_MS, token = () => "", heard, alive = () => {}, lost = () => {} }) {
    Object.assign(this, { path, everyMs, grows, patienceMs, list: [], token, heard, alive, lost });
    this.controller = null;
    this.index = 0;
  }

  start() {
    if (this.controller) return;
    this.controller = new AbortController();
    this.run(this.controller.signal);
  }

  stop() {
    this.controller?.abort();
    this.controller = null;
  }

  // Asks again now: the network came back, or something was changed by us.
  kick() {
    if (!this.controller) return;
    this.stop();
    this.index = 0;
    this.start();
  }

  url() {
    if (this.index === 0) return this.path;
    const blocks = this.everyMs > 0 ? [] : [`index=${this.index}`, `wait=${WAIT_S}s`];
    const grows = this.grows && this.list.length > 0 ? [`after=${this.list[this.list.length - 1].Index}`] : [];
    const query = [...blocks, ...grows].join("&");
    return query ? `${this.path}${this.path.includes("?") ? "&" : "?"}${query}` : this.path;
  }

  async turn(signal) {
    const timeout = this.patienceMs + (this.everyMs > 0 || this.index === 0 ? 0 : WAIT_S * 1000);
    const answer = await ask(this.url(), { token: this.token(), signal, timeout });
    if (signal.aborted) return 0;
    const began = this.index === 0;
    const isNews = began || (this.grows ? answer.body?.length > 0 : this.everyMs > 0 || answer.index !== this.index);
    if (this.grows && Array.isArray(answer.body)) answer.body = this.list = began ? answer.body : [...this.list, ...answer.body].slice(-GROWN_MAX);
    this.index = answer.index < this.index ? 0 : answer.index; // a smaller one: the agent began anew
    this.alive();
    if (isNews) this.heard(answer);
    if (this.everyMs > 0) return this.everyMs;
    // What does not block (no index) is asked gently; what changes all the time leaves the browser room.
    return answer.index === 0 ? 5000 : Math.min(1000, 50 + answer.text.length / 20000);
  }

  async run(signal) {
    let retry = RETRY_FIRST_MS;
    while (!signal.aborted) {
      let wait;
      try {
        wait = await this.turn(signal);
        retry = RETRY_FIRST_MS;
      } catch (error) {
        if (signal.aborted) return;
        this.index = 0;
        wait = error.kind === "refused" || error.kind === "absent" ? RETRY_MAX_MS : retry;
        this.lost(error, wait);
        retry = Math.min(retry * 2, RETRY_MAX_MS);
      }
      await pause(wait, signal);
    }
  }
}

// A follower that several parts of a page share. It runs while somebody listens and the page is visible; what it heard last
// is kept: { value, error, at }.
class Source {
  constructor(path, options) {
    this.listeners = new Set();
    this.last = { value: undefined, error: null, at: 0, filtered: false };
    this.follower = new Follower(path, { ...options,
      heard: (answer) => {
        this.tell({ value: answer.body, error: null, at: Date.now(), filtered: answer.filtered });
        if (!options.follows()) this.follower.stop();
      },
      alive: () => { if (this.last.error) this.tell({ ...this.last, error: null }); },
      lost: (error) => this.tell({ ...this.last, error }) });
  }

  tell(last) {
    this.last = last;
    for (const listener of [...this.listeners]) {
      try { listener(last); } catch (error) { console.error(error); } // a page that cannot draw is no agent that does not answer
    }
  }

  run(visible) {
    if (visible && this.listeners.size > 0) this.follower.start();
    else this.follower.stop();
  }
}

// All sources of a page. subscribe() tells the listener at once what is known, then each change, until `signal` aborts.
export class Live {
  constructor(token) {
    this.token = token;
    this.sources = new Map();
    this.visible = true;
    this.follows = true; // false: each source is asked once, and what it said stays
  }

  subscribe(path, { everyMs = 0, grows = false, patienceMs } = {}, listener, signal) {
    const key = `${everyMs} ${path}`;
    if (!this.sources.has(key)) this.sources.set(key, new Source(path, { everyMs, grows, patienceMs, token: this.token, follows: () => this.follows }));
    const source = this.sources.get(key);
    source.listeners.add(listener);
    source.run(this.visible && (this.follows || source.last.at === 0));
    if (source.last.at > 0 || source.last.error) listener(source.last);
    signal?.addEventListener("abort", () => {
      source.listeners.delete(listener);
      source.run(this.visible);
      if (source.listeners.size === 0) this.sources.delete(key);
    }, { once: true });
  }

  show(visible) {
    this.visible = visible;
    for (const source of this.sources.values()) source.run(visible && (this.follows || source.last.at === 0));
  }

  kick() {
    for (const source of this.sources.values()) source.follower.kick();
  }
}
