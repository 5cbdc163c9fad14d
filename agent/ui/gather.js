// The worker that follows the catalog: 10,000 instances are read and compared here, so that the page never stops. It tells
// the page what changed alone, in parts that are small enough to be taken in between two frames.
import { Follower } from "./live.js";
import { compare, flatten } from "./model.js";

const NODES = "/v1/internal/ui/nodes";
const PART = 300; // records a message

let token = "";
let known = new Map();

function tell(changed, gone, filtered) {
  for (let i = 0; i === 0 || i < changed.length; i += PART) {
    const more = i + PART < changed.length;
    postMessage({ kind: "delta", changed: changed.slice(i, i + PART), gone: more ? [] : gone, more, filtered });
  }
}

const follower = new Follower(NODES, {
  token: () => token,
  heard: (answer) => {
    const next = flatten(answer.body ?? []);
    const { changed, gone, signatures } = compare(known, next);
    known = signatures;
    tell(changed, gone, answer.filtered);
    postMessage({ kind: "live", at: Date.now(), filtered: answer.filtered });
  },
  alive: () => postMessage({ kind: "alive" }),
  lost: (error) => postMessage({ kind: "lost", why: error.kind, text: error.message }),
});

onmessage = ({ data }) => {
  if (data.kind === "token") token = data.token;
  else if (data.kind === "start") follower.start();
  else if (data.kind === "stop") follower.stop();
  else if (data.kind === "kick") follower.kick();
};
