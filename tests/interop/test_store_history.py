"""Real processes, real faults: is what clients saw linearizable? And does the checker notice when it is not?

    tests/interop/test_store_history.py [--ops 100000] [--seconds S] [--seed N] [--no-faults] [--etcd] [--wires]

A server with SQLite is killed (-9), stopped for a while and started again, while clients read and write through it and
through an agent that forwards to it. With etcd there are two servers and three members, of which one at a time is treated
so. With --wires each stands on a host of its own, and the wires between them are cut, deaf one way, lossy or slow
meanwhile (wires.py, net_faults.py; in a network of its own: unshare -n).
"""
import argparse
import base64
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

import etcd_cluster
import net_faults
import store_history
import wires
from store_agents import Agents
from store_history import FALSE, OK, UNKNOWN, Op

KEYS, LOCKS, TTL = 24, 3, 2.0
SECONDS = 100  # a slow machine does fewer operations in a test
SERVERS, MEMBERS = ["s1", "s2"], ["m0", "m1", "m2"]


class Client:
    """A connection that is made again after each error."""

    def __init__(self, agents, random_):
        self.agents, self.random, self.connection = agents, random_, None

    def ask(self, method, target, body=None):
        """(status, headers, body), or None: nobody knows."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.random.choice(self.agents).address, 8500, timeout=5)
            self.connection.request(method, target, body)
            answer = self.connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            time.sleep(0.02)
            return None


class Run:
    def __init__(self, agents, seed, ops, pause=0.0, seconds=float("inf")):
        self.agents, self.seed, self.left, self.ops, self.pause = agents, seed, ops, [], pause
        self.end = time.monotonic() + seconds
        self.lock, self.count, self.ends, self.stopping = threading.Lock(), 0, {}, False

    def next(self):
        with self.lock:
            self.left = self.left - 1 if time.monotonic() < self.end else -1
            self.count += 1
            return self.left >= 0, self.count

    def finish(self, op, reply):
        """Writes down what came back; True if it is known."""
        op.ended = time.monotonic() if reply is not None else store_history.NEVER
        if reply is not None and reply[0] == 200 and reply[2] in (b"true", b"false"):
            op.outcome = OK if reply[2] == b"true" else FALSE
            if op.outcome == OK:
                op.revision = int(reply[1]["x-rollcall-index"])
                op.term = int(reply[1].get("x-rollcall-term", 0)) or None
        elif reply is not None:
            op.ended = store_history.NEVER
            if reply[0] == 500 and reply[2].startswith(b"invalid session"):
                op.outcome = FALSE
        with self.lock:
            self.ops.append(op)
        return op.outcome != UNKNOWN

    def get(self, client, key):
        op = Op("get", key, time.monotonic())
        reply = client.ask("GET", f"/v1/kv/h/{key}" + client.random.choice(["", "?consistent"]))
        if reply is None or reply[0] not in (200, 404):
            return None
        op.ended, op.outcome = time.monotonic(), OK
        if reply[0] == 200:
            pair = json.loads(reply[2])[0]
            op.found = (pair["Value"], pair["ModifyIndex"])
        with self.lock:
            self.ops.append(op)
        return op.found

    def transaction(self, client, rng, known, value):
        """Two keys at once; half of the time only if the first has not changed."""
        shown = base64.b64encode(value.encode()).decode()
        one, two = (f"k{n}" for n in rng.sample(range(KEYS), 2))
        verb = rng.choice(["set", "cas"])
        index = known.get(one, 0) if verb == "cas" else None
        begun = time.monotonic()
        ops = [Op("cas" if verb == "cas" else "put", one, begun, shown, index, group=value), Op("put", two, begun, shown, group=value)]
        body = [{"KV": {"Verb": verb, "Key": f"h/{one}", "Value": shown, **({"Index": index} if verb == "cas" else {})}},
                {"KV": {"Verb": "set", "Key": f"h/{two}", "Value": shown}}]
        reply = client.ask("PUT", "/v1/txn", json.dumps(body))
        ended = time.monotonic()
        for number, op in enumerate(ops):
            if reply is not None and reply[0] in (200, 409):
                op.ended, op.outcome = ended, OK if reply[0] == 200 else FALSE
            if op.outcome == OK:
                op.revision = json.loads(reply[2])["Results"][number]["KV"]["ModifyIndex"]
                known[op.key] = op.revision
        with self.lock:
            self.ops += ops

    def worker(self, number):
        rng = random.Random(f"{self.seed}/{number}")
        client = Client(self.agents, rng)
        known = {}
        while True:
            more, count = self.next()
            if not more:
                return
            time.sleep(rng.random() * self.pause)
            key, dice = f"k{rng.randrange(KEYS)}", rng.random()
            value = f"{number}.{count}"
            shown = base64.b64encode(value.encode()).decode()
            if dice < 0.45:
                found = self.get(client, key)
                known[key] = found[1] if found else 0
            elif dice < 0.7:
                op = Op("put", key, time.monotonic(), value=shown)
                self.finish(op, client.ask("PUT", f"/v1/kv/h/{key}", value))
            elif dice < 0.78:
                self.transaction(client, rng, known, f"{number}.{count}")
            elif dice < 0.92:
                index = known.get(key, 0)
                op = Op("cas", key, time.monotonic(), value=shown, index=index)
                self.finish(op, client.ask("PUT", f"/v1/kv/h/{key}?cas={index}", value))
                known[key] = op.revision or known.get(key, 0)
            else:
                op = Op("delete", key, time.monotonic())
                self.finish(op, client.ask("DELETE", f"/v1/kv/h/{key}"))

    def locker(self, number):
        """Takes locks by a session with a TTL, which it renews or not, and lets go of them or not."""
        rng = random.Random(f"{self.seed}/lock{number}")
        client, session = Client(self.agents, rng), None
        while not self.stopping and self.left > 0:
            if session is None or rng.random() < 0.02:
                begun = time.monotonic()
                reply = client.ask("PUT", "/v1/session/create", json.dumps({"TTL": f"{TTL}s", "Checks": [], "LockDelay": "0.001s"}))
                if reply is None or reply[0] != 200:
                    continue
                session = json.loads(reply[2])["ID"]
                self.ends[session] = begun + TTL
            begun = time.monotonic()
            reply = client.ask("PUT", f"/v1/session/renew/{session}")
            if reply is not None and reply[0] == 404:
                session = None
                continue
            if reply is not None and reply[0] == 200:
                self.ends[session] = begun + TTL
            key = f"lock{rng.randrange(LOCKS)}"
            op = Op("lock", key, time.monotonic(), value=f"{number}.{begun}", session=session)
            self.finish(op, client.ask("PUT", f"/v1/kv/h/{key}?acquire={session}", f"{number}"))
            if op.outcome == OK:
                time.sleep(rng.random() * 0.05)
                if rng.random() < 0.9:
                    op = Op("unlock", key, time.monotonic(), value=f"{number}.{begun}u", session=session)
                    self.finish(op, client.ask("PUT", f"/v1/kv/h/{key}?release={session}", f"{number}"))
            time.sleep(rng.random() * 0.02)

    def faults(self, victims):
        rng = random.Random(f"{self.seed}/faults")
        while not self.stopping:
            time.sleep(0.3 + rng.random() * 1.5)
            if self.stopping:
                return
            victim = rng.choice(victims)
            if rng.random() < 0.5:
                victim.process.send_signal(signal.SIGSTOP)
                time.sleep(rng.random() * 1.5)
                victim.process.send_signal(signal.SIGCONT)
            else:
                victim.kill()
                time.sleep(rng.random() * 0.3)
                victim.start()
            self.wait_for_progress()

    def wait_for_progress(self, seconds=10):
        """Who has not come back yet is not killed again, or on a slow machine nobody ever would."""
        end, before = time.monotonic() + seconds, len(self.ops)
        while not self.stopping and time.monotonic() < end and not any(op.outcome == OK for op in self.ops[before:]):
            time.sleep(0.02)

    def go(self, workers, victims):
        threads = [threading.Thread(target=self.worker, args=(i,), daemon=True) for i in range(workers)]
        threads += [threading.Thread(target=self.locker, args=(i,), daemon=True) for i in range(4)]
        trouble = threading.Thread(target=self.faults, args=(victims,), daemon=True)
        for thread in threads:
            thread.start()
        if victims:
            trouble.start()
        for thread in threads:
            thread.join()
        self.stopping = True
        if victims:
            trouble.join()
        return self.ops


def run(folder, ops, seed, *, with_faults=True, cluster=None, its_wires=None, seconds=float("inf")):
    """(the operations, when each session may have ended, what went wrong between hosts)"""
    pool = Agents(folder, its_wires)
    try:
        settings = {"store": {"engine": "etcd", "endpoints": cluster.urls.split(",")}} if cluster else {}
        pool.server("s1", **settings).start().ready()
        if cluster:
            pool.server("s2", retry_join=[pool.all[0].address], **settings).start().ready()
        victims = [*pool.all, *(cluster.members if cluster else [])]
        pool.client("a1").start().ready()
        # With faults between hosts there shall be time for them.
        it = Run(pool.all, seed, ops, 0.08 if its_wires and with_faults else 0, seconds)
        faults = contextlib.nullcontext("none between hosts")
        if its_wires and with_faults:
            faults = net_faults.NetFaults(its_wires, seed, SERVERS if cluster else SERVERS[:1], MEMBERS if cluster else [], ["a1"],
                                          cluster.leader_now if cluster else lambda: None)
        with faults as told:
            it.go(12, victims if with_faults else [])
        pool.all[0].ready(60)
        return it.ops, it.ends, told or faults
    finally:
        pool.end()


@contextlib.contextmanager
def etcd(its_wires=None):
    """Forgets its history every second: who was away for longer reads all anew."""
    cluster = etcd_cluster.Cluster(3, options=etcd_cluster.FORGETS, hosts=[its_wires[name] for name in MEMBERS] if its_wires else None)
    try:
        yield cluster.start()
    finally:
        cluster.end()


@contextlib.contextmanager
def hosts():
    made = wires.Wires([*SERVERS, "a1", *MEMBERS])
    try:
        yield made
    finally:
        made.end()


def tell(ops):
    counts = {}
    for op in ops:
        counts[op.what, op.outcome] = counts.get((op.what, op.outcome), 0) + 1
    return ", ".join(f"{n} {what} {outcome}" for (what, outcome), n in sorted(counts.items()))


def test_what_clients_saw_is_linearizable_whatever_happened_to_the_server(tmp_path):
    seed = int(os.environ.get("STORE_SEED", random.randrange(10**6)))
    ops, ends, _ = run(tmp_path, int(os.environ.get("STORE_OPS", 6000)), seed, seconds=SECONDS)
    faults = store_history.check(ops, ends)
    assert not faults, f"STORE_SEED={seed}: " + "\n".join(faults[:10])
    assert sum(o.outcome == OK for o in ops) > min(1000, len(ops) / 6), tell(ops)


@pytest.mark.skipif(bool(etcd_cluster.why_not()), reason=etcd_cluster.why_not())
def test_the_same_with_two_servers_before_etcd(tmp_path):
    seed = int(os.environ.get("STORE_SEED", random.randrange(10**6)))
    with etcd() as cluster:
        ops, ends, _ = run(tmp_path, int(os.environ.get("STORE_OPS", 4000)), seed, cluster=cluster, seconds=SECONDS)
    faults = store_history.check(ops, ends)
    assert not faults, f"STORE_SEED={seed}: " + "\n".join(faults[:10])
    assert sum(o.outcome == OK for o in ops) > min(500, len(ops) / 8), tell(ops)


@pytest.mark.skipif(bool(etcd_cluster.why_not() or wires.why_not()), reason="wants etcd, root and /dev/net/tun")
@pytest.mark.parametrize("engine", [pytest.param("sqlite", marks=pytest.mark.slow), "etcd"])
def test_the_same_while_wires_are_cut_lossy_and_slow(engine):
    ops, seed = os.environ.get("STORE_OPS", "1500"), os.environ.get("STORE_SEED", str(random.randrange(10**6)))
    done = subprocess.run(["unshare", "-n", sys.executable, "-B", __file__, "--wires", "--ops", ops, "--seed", seed, "--seconds", str(SECONDS),
                           *(["--etcd"] if engine == "etcd" else [])], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def made(*rows):
    """A history from (what, key, begun, ended, settings)."""
    ops = []
    for what, key, begun, ended, more in rows:
        op = Op(what, key, begun)
        op.ended, op.outcome = ended, OK
        for name, value in more.items():
            setattr(op, name, value)
        ops.append(op)
    return ops


def test_the_checker_notices_what_must_not_be():
    put1 = ("put", "k", 1, 2, {"value": "a", "revision": 5})
    put2 = ("put", "k", 3, 4, {"value": "b", "revision": 6})
    good = ("get", "k", 5, 6, {"found": ("b", 6)})
    assert not store_history.check(made(put1, put2, good))
    cases = {
        "a stale read": [put1, put2, ("get", "k", 5, 6, {"found": ("a", 5)})],
        "a lost write": [put1, put2, ("get", "k", 5, 6, {"found": None})],
        "a write nobody made": [put1, ("get", "k", 5, 6, {"found": ("z", 9)})],
        "revisions against time": [("put", "k", 1, 2, {"value": "a", "revision": 6}), ("put", "k", 3, 4, {"value": "b", "revision": 5})],
        "a retry applied twice": [put1, put2, ("get", "k", 5, 6, {"found": ("a", 7)})],
        "a cas over another write": [put1, put2, ("cas", "k", 5, 6, {"value": "c", "index": 5, "revision": 7})],
        "a cas refused for nothing": [put1, ("cas", "k", 5, 6, {"value": "c", "index": 5, "outcome": FALSE})],
        "reads that go back": [("put", "k", 1, 9, {"value": "a", "revision": 5}), ("put", "k", 1, 9, {"value": "b", "revision": 6}),
                               ("get", "k", 2, 3, {"found": ("b", 6)}), ("get", "k", 4, 5, {"found": ("a", 5)})],
        "half of a transaction": [put1, ("put", "l", 1, 2, {"value": "a", "revision": 4}),
                                  ("put", "k", 3, 9, {"value": "b", "group": 1, "outcome": UNKNOWN}),
                                  ("put", "l", 3, 9, {"value": "b", "group": 1, "outcome": UNKNOWN}),
                                  ("get", "k", 5, 6, {"found": ("b", 6)}), ("get", "l", 7, 8, {"found": ("a", 4)})],
        "a transaction of two moments": [("put", "k", 3, 9, {"value": "b", "group": 1, "revision": 5}),
                                         ("put", "l", 3, 9, {"value": "b", "group": 1, "revision": 6})],
        "two holders": [("lock", "l", 1, 2, {"session": "s", "term": 5, "revision": 5}),
                        ("lock", "l", 3, 4, {"session": "t", "term": 6, "revision": 6})],
        "terms that fall": [("lock", "l", 1, 2, {"session": "s", "term": 6, "revision": 6}),
                            ("lock", "l", 3, 4, {"session": "t", "term": 5, "revision": 5})],
    }
    for why, rows in cases.items():
        assert store_history.check(made(*rows), {"s": 100}), why


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ops", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--etcd", action="store_true")
    parser.add_argument("--wires", action="store_true")
    options = parser.parse_args()
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        its_wires = stack.enter_context(hosts()) if options.wires else None
        cluster = stack.enter_context(etcd(its_wires)) if options.etcd else None
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ops, ends, told = run(folder, options.ops, options.seed, with_faults=not options.no_faults, cluster=cluster, its_wires=its_wires,
                              seconds=options.seconds)
        told = str(told)
    took = time.monotonic() - begun
    faults = store_history.check(ops, ends)
    print("\n".join(faults[:20]))
    print(told)
    print(f"seed {options.seed}: {len(ops)} operations in {took:.0f} s: {tell(ops)}; {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
