"""Server agents before a real etcd that forgets its history, has no room left, or cannot be reached by one of them."""
import base64
import threading

import pytest

import etcd_cluster
from patience import patient
import wires
from etcd_cluster import Cluster
from serf_pool import Namespace
from store_agents import Agents, until
from wires import CUT

pytestmark = [pytest.mark.skipif(bool(etcd_cluster.why_not()), reason=etcd_cluster.why_not()),
              pytest.mark.skipif(bool(wires.why_not()), reason=str(wires.why_not()))]

MEMBERS = ["m0", "m1", "m2"]


class Pool:
    """Servers s1 and s2, agent a1 and etcd's members, each on a host of its own."""

    def __init__(self, folder, options=()):
        self.space = Namespace()
        self.wires = wires.Wires(["s1", "s2", "a1", *MEMBERS])
        self.cluster = Cluster(3, options=options, hosts=[self.wires[name] for name in MEMBERS])
        self.agents = Agents(folder, self.wires)
        try:
            self.cluster.start()
            settings = {"session_ttl_min": "1s", "store": {"engine": "etcd", "endpoints": self.cluster.urls.split(",")}}
            self.s1 = self.agents.server("s1", **settings).start().ready()
            self.s2 = self.agents.server("s2", retry_join=[self.s1.address], **settings).start().ready()
            self.a1 = self.agents.client("a1").start().ready()
        except BaseException:
            self.end()
            raise

    def cut(self, name):
        """From etcd, not from the other agents."""
        for member in MEMBERS:
            self.wires.between(name, member, CUT)

    def end(self):
        try:
            self.agents.end()
        finally:
            self.cluster.end()
            self.wires.end()
            self.space.leave()


@pytest.fixture
def pool(tmp_path):
    made = Pool(tmp_path, etcd_cluster.FORGETS)
    yield made
    made.end()


@pytest.fixture
def small(tmp_path):
    made = Pool(tmp_path, ("--quota-backend-bytes", str(4 << 20)))
    yield made
    made.end()


class Waiting:
    """A blocking query in a thread of its own."""

    def __init__(self, agent, path):
        first = agent.call("GET", path)
        self.index, self.reply = first.index, None
        target = f"{path}{'&' if '?' in path else '?'}index={first.index}&wait=120s"
        self.thread = threading.Thread(target=self.run, args=(agent, target), daemon=True)
        self.thread.start()

    def run(self, agent, target):
        self.reply = agent.call("GET", target, timeout=150)

    def end(self):
        self.thread.join(patient(60))
        assert self.reply is not None, "it still waits"
        return self.reply


def gauge(agent, name):
    """The sum of a metric's values."""
    lines = agent.call("GET", "/v1/agent/metrics?format=prometheus").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == name)


def listing(agent):
    return {pair["Key"]: (pair["Value"], pair["ModifyIndex"]) for pair in agent.call("GET", "/v1/kv/c/?recurse").json}


@pytest.mark.parametrize("how", ["cut off", "stopped"])
def test_a_server_that_missed_history_which_etcd_forgot_reads_all_anew(pool, how):
    for key in ("changed", "removed", "removed-alone", "kept", "made-and-removed"):
        pool.a1.put(f"c/{key}", "old")
    until(lambda: pool.a1.call("DELETE", "/v1/kv/c/made-and-removed").text == "true")
    until(lambda: listing(pool.s1) == listing(pool.s2))
    waiting = {path: Waiting(pool.s1, path) for path in
               ("/v1/kv/c/changed", "/v1/kv/c/removed", "/v1/kv/c/new", "/v1/kv/c/?recurse", "/v1/kv/c/?keys")}
    quiet = Waiting(pool.s1, "/v1/kv/c/kept")
    until(lambda: gauge(pool.s1, "rollcall_http_blocking_queries") == 6)

    if how == "cut off":
        pool.cut("s1")
    else:
        pool.s1.process.send_signal(19)
    try:
        for number in range(300):
            pool.s2.put(f"c/n{number % 20}", str(number))
        pool.s2.put("c/changed", "new")
        pool.s2.put("c/new", "new")
        for key in ("removed", "removed-alone"):
            until(lambda key=key: pool.s2.call("DELETE", f"/v1/kv/c/{key}").text == "true")
        last = pool.cluster.members[0].status()["header"]["revision"]
        # Time passes and etcd forgets all of it.
        until(lambda: pool.s2.call("PUT", "/v1/kv/other", "x").text and pool.cluster.members[0].has_forgotten(int(last)), 60)
    finally:
        pool.s1.process.send_signal(18)
        pool.wires.heal()

    replies = {path: one.end() for path, one in waiting.items()}
    assert all(reply.index > waiting[path].index for path, reply in replies.items()), \
        {path: (waiting[path].index, reply.index) for path, reply in replies.items()}
    assert base64.b64decode(replies["/v1/kv/c/changed"].json[0]["Value"]) == b"new"
    assert replies["/v1/kv/c/removed"].status == 404
    until(lambda: listing(pool.s1) == listing(pool.s2))
    found = listing(pool.s1)
    assert "c/removed" not in found and "c/removed-alone" not in found and len(found) == 23
    # Who waits for what has not changed is not lost either.
    pool.a1.put("c/kept", "newer")
    assert base64.b64decode(quiet.end().json[0]["Value"]) == b"newer"


def disarmed(member):
    """As `etcdctl alarm disarm`: True once there is none."""
    alarms = member.call("/v3/maintenance/alarm", {"action": "GET"}).get("alarms", [])
    for alarm in alarms:
        member.call("/v3/maintenance/alarm", {"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": "NOSPACE"})
    return not alarms


def test_etcd_without_room_refuses_in_words_and_recovers(small):
    reply, done = None, 0
    for number in range(200):  # the same keys anew: it is the history that fills it
        reply = small.a1.call("PUT", f"/v1/kv/big/{number % 5}", f"{number:07}" + "x" * 100_000)
        if "unknown" in reply.text:
            continue
        if reply.status != 200:
            break
        done += 1
    assert reply.status == 500 and ("space exceeded" in reply.text or "no room" in reply.text), reply.text
    assert 10 < done < 60

    # Nothing of it is lost, reads and what needs no room go on, and the operator is told.
    found = {int(small.a1.call("GET", f"/v1/kv/big/{key}?raw").body[:7]) for key in range(5)}
    assert found in (set(range(done - 5, done)), set(range(done - 4, done + 1)))
    until(lambda: gauge(small.s1, "rollcall_store_alarm") > 0)
    until(lambda: "quota" in small.s1.log())  # it looks every few seconds

    # As the alarm says: compact, defragment, disarm. No agent is started anew.
    member = small.cluster.members[0]
    member.call("/v3/kv/compaction", {"revision": member.status()["header"]["revision"], "physical": True})
    for one in small.cluster.members:
        one.call("/v3/maintenance/defragment", {}, timeout=30)
    until(lambda: disarmed(member))
    until(lambda: small.a1.call("PUT", "/v1/kv/small", "x").text == "true")
    until(lambda: gauge(small.s1, "rollcall_store_alarm") == 0)
