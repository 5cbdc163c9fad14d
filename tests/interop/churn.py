"""Churn in an encrypted pool of two serfs and three of ours; then everything must settle.

usage: sudo /usr/bin/python3 -B tests/interop/churn.py      (make churn)

Members are killed, restarted, leave, sleep and are thrown out; events, queries, tags, keys and the
catalog change, at random by CHURN_SEED, for CHURN_SECONDS (600). ROLLCALL_BUILD chooses the build.
Ends with 0 and a summary, or with 1 and what is wrong; the logs are kept then.
"""
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from patience import patient
import serf_pool
from serf_pool import ALIVE, LEAVING, LONG, Agent, Serf, new_key, until

DOWN, UP, ASLEEP = "down", "up", "asleep"
SETTLE = 180  # seconds; what takes long is serf's push/pull with its doubts about the dead
MEMORY_SLACK_KB, FILES_SLACK = 2048, 4

# What serf says of peers that were killed, slept or came back: churn itself, not a fault of anybody's.
EXPLAINED = (
    r"connection refused", r"connection reset by peer", r"broken pipe", r"i/o timeout", r"EOF",
    r"use of closed network connection", r"failed to receive and remote state",
    r"Refuting an? (?:suspect|dead|alive) message",
    r"Was able to connect to .* but other probes failed",
    r"reply for non-running query", r"Suspect .* has failed", r"force-leave|RemoveFailedNode",
    r"Shutdown without a Leave", r"failed to send gossip to",
)


class Churn:
    def __init__(self, folder, seed):
        self.random = random.Random(seed)
        self.folder = folder
        self.key = new_key()
        self.done = Counter()
        self.failed = Counter()
        self.services = {}
        self.wake_at = {}
        self.began = time.monotonic()
        self.pool = serf_pool.Pool(folder)
        serfs = [self._serf(name) for name in ("s1", "s2")]
        agents = [self.pool.agent(name, key=self.key, words=["-retry-join=" + serfs[0].address,
                                                            "-retry-join=" + serfs[1].address, "-retry-interval=1s"])
                  for name in ("r1", "r2", "r3")]
        for serf in serfs:  # where to look for company after a restart
            serf.command += ["-retry-join=" + other.address for other in serfs + agents if other is not serf]
        serfs[0].ask("join", serfs[1].address)
        self.members = serfs + agents
        self.witness = agents[0]  # never ends, so that its memory tells
        self.state = {member.name: UP for member in self.members}
        self.pool.agree(LONG)
        until(LONG, lambda: self._written_down(serfs, agents),
              "the serfs have written down whom they know: one that is killed before complains of it")

    def _written_down(self, serfs, agents):
        """serf writes what it has noted half a second ago only when it has something more to note: an event."""
        serfs[0].run("event", "-coalesce=false", "note", "")
        return all("alive: %s " % agent.name in self._snapshot(serf.name).read_text() for serf in serfs for agent in agents)

    def _snapshot(self, name):
        return self.folder / (name + ".snapshot")

    def _serf(self, name):
        ring = self.folder / ("keyring-%s.json" % name)
        ring.write_text(json.dumps([self.key]))
        return self.pool.serf(name, words=["-keyring-file=%s" % ring, "-snapshot=%s" % self._snapshot(name),
                                           "-rejoin", "-retry-interval=1s"])

    def say(self, *words):
        print("%7.1f" % (time.monotonic() - self.began), *words, flush=True)

    def those(self, state, kind=object):
        return [member for member in self.members if self.state[member.name] == state and isinstance(member, kind)]

    def any(self, state=UP, kind=object):
        found = self.those(state, kind)
        return self.random.choice(found) if found else None

    # ---- What happens. Each returns what it did, or None if there was nothing to do.

    def kill(self):
        victim = self.any()
        if victim is self.witness or len(self.those(UP)) < 4:
            return None
        victim.kill()
        self.state[victim.name] = DOWN
        return victim.name

    def leave(self):
        victim = self.any()
        if victim is self.witness or len(self.those(UP)) < 4:
            return None
        self.state[victim.name] = DOWN
        victim.signal(signal.SIGINT if isinstance(victim, Serf) else signal.SIGTERM)
        victim.process.wait(patient(60))
        if isinstance(victim, Agent):
            assert victim.process.returncode == 0, "%s left with %d" % (victim.name, victim.process.returncode)
        return victim.name

    def start(self):
        member = self.any(DOWN)
        if member is None:
            return None
        member.start()
        self.state[member.name] = UP
        return member.name

    def sleep(self):
        victim = self.any()
        if victim is None or len(self.those(UP)) < 4:
            return None
        victim.signal(signal.SIGSTOP)
        self.state[victim.name] = ASLEEP
        self.wake_at[victim.name] = time.monotonic() + self.random.choice((0.5, 1.5, 4, 9))
        return victim.name

    def wake(self, everybody=False):
        for member in self.those(ASLEEP):
            if everybody or time.monotonic() > self.wake_at[member.name]:
                member.signal(signal.SIGCONT)
                self.state[member.name] = UP

    def force_leave(self):
        whom = self.random.choice(self.members)
        asked = self.any()
        asked.run("force-leave", whom.name)
        return "%s by %s" % (whom.name, asked.name)

    def event(self):
        name, asked = "event-%d" % self.random.randrange(1000), self.any()
        if isinstance(asked, Serf):
            asked.run("event", "-coalesce=%s" % self.random.choice(("true", "false")), name, "payload")
        else:
            asked.api("/v1/event/fire/" + name, "PUT", b"payload")
        return "%s by %s" % (name, asked.name)

    def query(self):
        asked = self.any()
        words = self.random.choice(([], ["-node=r1"], ["-tag", "role=^n.de$"], ["-relay-factor=1"]))
        asked.run("query", "-timeout=1s", *words, "load-%d" % self.random.randrange(1000))
        return asked.name

    def tag(self):
        serf = self.any(kind=Serf)
        if serf is None:
            return None
        serf.run("tags", "-set", "lap=%d" % self.random.randrange(1000))
        return serf.name

    def catalog(self):
        agent = self.any(kind=Agent)
        if agent is None:
            return None
        name = "service-%d" % self.random.randrange(8)
        mine = self.services.setdefault(agent.name, set())
        if name in mine and self.random.random() < 0.3:
            agent.api("/v1/agent/service/deregister/" + name, "PUT")
            mine.discard(name)
        elif name in mine:
            word = self.random.choice(("pass", "warn", "fail"))
            agent.api("/v1/agent/check/%s/service:%s" % (word, name), "PUT")
        else:
            agent.api("/v1/agent/service/register", "PUT", {"Name": name, "Port": 1000, "Check": {"TTL": "1h", "Status": "passing"}})
            mine.add(name)
        return "%s of %s" % (name, agent.name)

    def rotate(self):
        """A new key for all, driven from either kind: only while all are there, as serf wants it."""
        asked = self.random.choice(self.members)
        wanted = {member.name: ALIVE for member in self.members}
        if len(self.those(UP)) < len(self.members) or any(member.view() != wanted for member in self.members):
            return None  # who is counted as away is not waited for, and would be locked out
        old, new = self.key, new_key()
        for verb, key in (("-install", new), ("-use", new), ("-remove", old)):
            end = time.monotonic() + LONG
            while True:
                done = self.key_command(asked, verb, key)
                if done.returncode == 0:
                    break
                # One that just came back may not have been asked yet: orders may be repeated.
                assert time.monotonic() < end, "%s %s by %s: %s" % (verb, key, asked.name, done.stdout)
                time.sleep(1)
        self.key = new
        for agent in self.members:  # an order of its own would be the old key
            agent.command = ["-encrypt=" + new if word.startswith("-encrypt=") else word for word in agent.command]
        return "by " + asked.name

    def key_command(self, asked, verb, key):
        return asked.run("keys" if isinstance(asked, Serf) else "keyring", verb + "=" + key)

    WEIGHTS = {"kill": 3, "start": 8, "leave": 2, "sleep": 3, "force_leave": 1, "event": 8, "query": 4, "tag": 4,
               "catalog": 20, "rotate": 3}

    def step(self):
        self.wake()
        for member in self.members:
            if self.state[member.name] == UP and not member.runs():
                raise AssertionError("%s ended by itself, with %d: %s" % (
                    member.name, member.process.returncode, member.said()[-4000:]))
        what = self.random.choices(list(self.WEIGHTS), self.WEIGHTS.values())[0]
        detail = getattr(self, what)()
        if detail is not None:
            self.done[what] += 1
            self.say(what, detail)

    # ---- Whether it was survived.

    def weigh(self):
        status = Path("/proc/%d/status" % self.witness.process.pid).read_text()
        files = len(os.listdir("/proc/%d/fd" % self.witness.process.pid))
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)), files

    def settle(self):
        self.wake(everybody=True)
        while self.those(DOWN):
            self.start()
        began = time.monotonic()
        self.pool.agree(SETTLE)
        self.say("all see all alive after %.1f s" % (time.monotonic() - began))
        assert not any(LEAVING in member.view().values() for member in self.members)
        agents = [member for member in self.members if isinstance(member, Agent)]

        def catalogs():
            return [[sorted((node["Node"]["Node"], node["Service"]["ID"], node["Checks"][-1]["Status"])
                            for name in agent.api("/v1/catalog/services") if name.startswith("service-")
                            for node in agent.api("/v1/health/service/" + name)) for agent in agents]]
        until(LONG, lambda: all(one == catalogs()[0][0] for one in catalogs()[0]), lambda: "one catalog: %s" % catalogs())
        wanted = sorted((agent.name, name) for agent in agents for name in self.services.get(agent.name, ()))
        assert [entry[:2] for entry in catalogs()[0][0]] == wanted, (catalogs()[0][0], wanted)
        self.say("one catalog everywhere, %d services" % len(wanted))
        # A last order to all keys: every member answers, in both directions.
        for asked in (self.members[0], self.witness):
            until(LONG, lambda asked=asked: self.key_command(asked, "-use", self.key).returncode == 0,
                  lambda asked=asked: "all have the key: " + self.key_command(asked, "-use", self.key).stdout)

    def judge_logs(self):
        complaints = Counter()
        for serf in self.members[:2]:
            for line in serf.complaints(*EXPLAINED):
                complaints[re.sub(r"\d+", "N", line.strip()[20:])] += 1
        assert not complaints, "serf complains of what churn does not explain:\n" + "\n".join(
            "%5d %s" % (count, line) for line, count in complaints.most_common(30))


def main():
    seconds = float(os.environ.get("CHURN_SECONDS", "600"))
    seed = int(os.environ.get("CHURN_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    if serf_pool.why_not():
        print("churn: skipped: " + serf_pool.why_not())
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("churn: ended by SIGTERM"))  # and its members with it
    folder = Path(tempfile.mkdtemp(prefix="rollcall-churn-"))
    print("churn: seed %d, %g s, logs in %s" % (seed, seconds, folder), flush=True)
    churn = None
    try:
        churn = Churn(folder, seed)
        before = None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            churn.step()
            time.sleep(churn.random.uniform(0.05, 0.6))
            if before is None and time.monotonic() - churn.began > min(60, seconds / 4):
                before = churn.weigh()
        churn.settle()
        churn.judge_logs()

        def at_rest():
            memory, files = churn.weigh()
            return memory <= before[0] + MEMORY_SLACK_KB and files <= before[1] + FILES_SLACK
        until(LONG, at_rest, lambda: "memory (KB) and descriptors are back: %s, now %s" % (before, churn.weigh()))
        churn.say("memory KB and descriptors of %s: %s, at the end %s" % (churn.witness.name, before, churn.weigh()))
        churn.pool.end()
    except BaseException as error:
        print("churn: FAILED with seed %d: %s\nchurn: logs kept in %s" % (seed, error, folder), flush=True)
        if churn is not None:
            for member in churn.members:
                member.kill()
        if not isinstance(error, AssertionError):
            raise
        return 1
    print("churn: survived %g s, seed %d: %s" % (seconds, seed, dict(churn.done)), flush=True)
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
