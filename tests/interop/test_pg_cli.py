"""`rollcall pg` and /v1/postgres over records that are written by hand: what is shown, and what is refused."""
import json
import os
import subprocess
import threading
import time

import pytest

from patience import patient
import store_agents
from store_agents import Agents, until

ROOT = "/v1/kv/rollcall/pg/main"


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    agents = Agents(tmp_path_factory.mktemp("pg"))
    agents.server("node1", session_ttl_min="1s").start().ready()
    agents.client("node2").start().ready()
    yield agents
    agents.end()


class Cluster:
    """The records of two keepers, as they would write them."""

    def __init__(self, agent):
        self.agent = agent
        agent.call("DELETE", "/v1/kv/rollcall/pg/?recurse")
        self.sessions = {node: agent.session(TTL="600s", Behavior="delete") for node in ("pg1", "pg2")}
        self.member("pg1", state="primary", role="primary")
        self.member("pg2", state="standby", role="standby", upstream="pg1", ro_ok=True)
        self.put("state", {"sysid": "7012345678901234567", "term": 7, "node": "pg1", "tli": 3, "lsn": "0/5000000",
                           "clean": False, "reason": "elected", "at_ms": 1700000000000})
        self.sync(["pg2"], 1)
        self.lease("pg1")
        self.put("history", [{"term": 7, "node": "pg1", "from": "", "reason": "first", "tli": 3, "lsn": "0/5000000",
                              "at_ms": 1700000000000, "took_ms": 412}])

    def put(self, key, value, query=""):
        assert self.agent.call("PUT", f"{ROOT}/{key}{query}", json.dumps(value)).text == "true"

    def sync(self, members, quorum):
        self.put("sync", {"term": 7, "holder": "pg1", "members": members, "quorum": quorum, "k": 1, "names": members, "mode": "sync"})

    def lease(self, node, writable=True):
        self.put("lease", {"node": node, "address": "10.0.0.1", "port": 5432, "writable": writable, "ttl_ms": 3000,
                           "since_ms": 1700000000000}, f"?acquire={self.sessions[node]}")

    def member(self, node, **fields):
        self.put(f"member/{node}", {"address": "10.0.0.1", "port": 5432, "tli": 3, "lsn": "0/5000000", "replay_lsn": "0/5000000",
                                    "lag_bytes": 0, "priority": 100, **fields}, f"?acquire={self.sessions[node]}")

    def record(self, key):
        reply = self.agent.call("GET", f"{ROOT}/{key}?raw")
        return reply.json if reply.status == 200 else None

    def ask(self, verb, body=None):
        return self.agent.call("PUT", f"/v1/postgres/main/{verb}", body)

    def view(self):
        return self.agent.call("GET", "/v1/postgres/main").json


@pytest.fixture
def cluster(pool):
    made = Cluster(pool.all[0])
    yield made
    for session in made.sessions.values():
        pool.all[0].call("PUT", f"/v1/session/destroy/{session}")


@pytest.fixture(params=["at the server", "through an agent"])
def pg(request, pool, cluster):
    agent = pool.all[0 if request.param == "at the server" else 1]
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}, "CONSUL_HTTP_ADDR": agent.address + ":8500"}

    def run(*words):
        return subprocess.run([str(store_agents.BINARY), "pg", *words], capture_output=True, text=True, env=env, timeout=60, check=False)
    return run


def test_nothing_is_there_before_a_keeper_was(pool):
    agent = pool.all[0]
    agent.call("DELETE", "/v1/kv/rollcall/pg/?recurse")
    assert agent.call("GET", "/v1/postgres").json == []
    reply = agent.call("GET", "/v1/postgres/main")
    assert (reply.status, reply.text) == (404, 'No cluster "main"') and reply.index > 0
    assert agent.call("PUT", "/v1/postgres/main/pause").status == 404
    assert agent.call("PUT", "/v1/postgres/main/dance").status == 404
    assert agent.call("GET", "/v1/postgres/a%20b").status == 404


def test_the_view_is_all_records_in_one(cluster):
    view = cluster.view()
    assert view["Cluster"] == "main" and view["Mode"] == "sync" and view["Paused"] is False and view["TTLms"] == 3000
    assert view["Primary"] == {"Node": "pg1", "Address": "10.0.0.1", "Port": 5432, "Writable": True, "Since": 1700000000000}
    lease = cluster.agent.call("GET", f"{ROOT}/lease").json[0]
    assert view["Term"] == lease["Term"] > 0
    assert [(m["Node"], m["State"], m["Sync"], m["LSN"]) for m in view["Members"]] == [
        ("pg1", "primary", False, "0/5000000"), ("pg2", "standby", True, "0/5000000")]
    assert view["Members"][1]["ReadOk"] is True and view["Members"][1]["LagBytes"] == 0 and view["Members"][1]["Timeline"] == 3
    assert view["State"]["SysID"] == "7012345678901234567" and view["Intent"] is None and view["History"][0]["TookMs"] == 412
    assert cluster.agent.call("GET", "/v1/postgres").json[0]["Primary"]["Node"] == "pg1"


def test_who_waits_hears_of_a_new_primary_and_of_none(cluster, pool):
    through = pool.all[1]
    index = through.call("GET", "/v1/postgres/main").index
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(through.call("GET", f"/v1/postgres/main?index={index}&wait=30s")), daemon=True)
    waiting.start()
    time.sleep(0.3)
    cluster.agent.call("PUT", f"/v1/session/destroy/{cluster.sessions['pg1']}")
    waiting.join(patient(20))
    assert answers[0].index > index
    until(lambda: through.call("GET", "/v1/postgres/main").json["Primary"] is None)
    view = through.call("GET", "/v1/postgres/main").json
    assert view["Term"] == 7 and [m["Node"] for m in view["Members"]] == ["pg2"]


def test_status_is_for_people(pg, cluster):
    shown = pg("status")
    assert shown.returncode == 0 and shown.stderr == ""
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["Cluster", "main"]
    assert "pg1, 10.0.0.1:5432, writable since 2023-11-14T22:13:20.000Z" in lines[2]
    assert "sync: 1 of (pg2) must confirm every write" in lines[3]
    assert lines[5].split() == ["Node", "Address", "State", "Role", "TL", "LSN", "Behind", "Sync", "Reads", "Note"]
    assert lines[7].split() == ["pg2", "10.0.0.1:5432", "standby", "standby", "3", "0/5000000", "0", "B", "yes", "yes"]
    assert json.loads(pg("status", "-format=json").stdout)["Primary"]["Node"] == "pg1"
    assert [m["Node"] for m in json.loads(pg("members", "-cluster=main", "-format=json").stdout)] == ["pg1", "pg2"]
    assert "412 ms" in pg("history").stdout
    cluster.sync(["pg2"], -1)
    assert "nobody else may be promoted yet" in pg("status").stdout
    missing = pg("status", "-cluster=other")
    assert missing.returncode == 1 and 'No cluster "other"' in missing.stderr


def test_a_pause_is_on_every_page(pg, cluster):
    assert pg("pause").stdout == "Cluster main is paused\n"
    for what in ("status", "members", "history"):
        assert pg(what).stdout.startswith("PAUSED:")
    refused = pg("switchover", "-to=pg2")
    assert refused.returncode == 1 and "resume it first" in refused.stderr
    assert pg("resume").returncode == 0
    assert not pg("status").stdout.startswith("PAUSED:")


def test_a_switchover_is_followed_to_its_end(pg, cluster):
    def keepers():
        intent = until(lambda: cluster.record("intent"))
        assert (intent["kind"], intent["from"], intent["to"], intent["accept_loss"]) == ("switchover", "pg1", "pg2", False)
        cluster.agent.call("DELETE", f"{ROOT}/lease")
        cluster.lease("pg2", writable=False)
        cluster.lease("pg2")
        cluster.agent.call("DELETE", f"{ROOT}/intent")
    acting = threading.Thread(target=keepers, daemon=True)
    acting.start()
    done = pg("switchover")
    acting.join()
    assert done.returncode == 0 and done.stdout.startswith("pg2 is the primary of term "), done


def test_a_switchover_that_is_given_up_is_told(pg, cluster):
    def keepers():
        until(lambda: cluster.record("intent"))
        cluster.put("history", [{"term": 7, "node": "pg1", "reason": "switchover to pg2 given up: it is 17 MB behind"}])
        cluster.agent.call("DELETE", f"{ROOT}/intent")
    acting = threading.Thread(target=keepers, daemon=True)
    acting.start()
    done = pg("switchover", "-to", "pg2")
    acting.join()
    assert done.returncode == 1 and "given up" in done.stderr and "17 MB behind" in done.stderr


def test_an_order_is_followed_to_its_end(pg, cluster):
    def keepers():
        assert until(lambda: cluster.record("order/pg2"))["kind"] == "restart"
        cluster.agent.call("DELETE", f"{ROOT}/order/pg2")
    acting = threading.Thread(target=keepers, daemon=True)
    acting.start()
    done = pg("restart", "pg2")
    acting.join()
    assert (done.returncode, done.stdout) == (0, "pg2 has done it, and is standby\n"), done
    assert pg("reload", "pg2", "-wait=0").stdout == "Asked for: reload of pg2\n"
    again = pg("stop", "pg2", "-wait=0")
    assert again.returncode == 1 and "another order is under way: reload" in again.stderr


def refusal(cluster, verb, body):
    reply = cluster.ask(verb, body)
    assert reply.status == 409, (reply.status, reply.text)
    assert cluster.record("intent") is None
    return reply.text


def test_a_switchover_is_refused_with_the_reason(cluster):
    to = {"To": "pg2"}
    assert "pg1 is the primary already" in refusal(cluster, "switchover", {"To": "pg1"})
    assert "no keeper answers for pg9; there are: pg1, pg2" in refusal(cluster, "switchover", {"To": "pg9"})
    cluster.sync(["pg3"], 1)
    assert "pg2 is no sync member: it may lack writes" in refusal(cluster, "switchover", to)
    assert "pg2 is no sync member" in refusal(cluster, "switchover", {})
    cluster.sync(["pg2"], -1)
    assert "pg2 has not caught up" in refusal(cluster, "switchover", to)
    cluster.sync(["pg2"], 1)
    cluster.member("pg2", state="standby", lag_bytes=17 << 20)
    assert "is 17825792 bytes behind" in refusal(cluster, "switchover", to)
    cluster.member("pg2", state="standby", lsn="0/9000000")
    assert "67108864 not yet applied" in refusal(cluster, "switchover", to)
    cluster.member("pg2", state="standby", no_failover=True)
    assert "no_failover" in refusal(cluster, "switchover", to)
    cluster.member("pg2", state="rejoining", problem="pg_rewind failed")
    assert "is no standby that runs, but rejoining: pg_rewind failed" in refusal(cluster, "switchover", to)
    cluster.lease("pg1", writable=False)
    assert "nobody is a writable primary" in refusal(cluster, "switchover", to)
    assert cluster.ask("switchover?stale", to).status == 400


def test_a_failover_may_lose_writes_only_if_that_is_said(cluster):
    assert "say to which node" in refusal(cluster, "failover", {})
    cluster.sync([], -1)
    assert "accept the loss" in refusal(cluster, "failover", {"To": "pg2"})
    cluster.put("settings", {"mode": "async", "max_lag_bytes": 1000})
    cluster.member("pg2", state="standby", lag_bytes=1001)
    assert "1001 bytes behind, more than max_lag_bytes allows (1000)" in refusal(cluster, "failover", {"To": "pg2"})
    reply = cluster.ask("failover", {"To": "pg2", "AcceptLoss": True})
    assert reply.status == 200 and reply.json["To"] == "pg2"
    assert cluster.record("intent")["accept_loss"] is True
    again = cluster.ask("failover", {"To": "pg2", "AcceptLoss": True})
    assert again.status == 409 and "another is under way: failover to pg2" in again.text


def test_orders_that_would_harm_are_refused(cluster):
    def order(node, kind):
        reply = cluster.ask(f"order/{node}", {"Kind": kind})
        assert reply.status == 409, reply.text
        return reply.text
    assert "pg1 is the primary: its data" in order("pg1", "reinit")
    assert "pg2 is not fenced" in order("pg2", "unfence")
    assert "no order 'explode'" in order("pg2", "explode")
    assert "no keeper answers for pg9" in order("pg9", "stop")
    assert cluster.ask("order/pg2", {"Kind": "stop"}).status == 200
    cluster.put("order/pg2", {**cluster.record("order/pg2"), "done": True})
    assert cluster.ask("order/pg2", {"Kind": "start"}).status == 200  # a stop that stands is followed by a start


@pytest.mark.parametrize("standing, undo", [("stop", "start"), ("fence", "unfence")])
def test_what_an_operator_took_away_takes_no_order_but_the_one_that_gives_it_back(cluster, standing, undo):
    word = {"stop": "stopped", "fence": "fenced"}[standing]
    cluster.member("pg2", state=word)
    cluster.put("order/pg2", {"id": "x", "kind": standing, "done": True, "at_ms": 1700000000000})
    for kind in ("restart", "reload", "reinit"):
        reply = cluster.ask("order/pg2", {"Kind": kind})
        assert reply.status == 409 and f"pg2 was {word} by an operator: {undo} it first" in reply.text, reply.text
    assert cluster.ask("order/nobody", {"Kind": undo}).status == 409
    assert "there are: pg1, pg2" in cluster.ask("order/nobody", {"Kind": "restart"}).text
    assert "is no standby that runs" in refusal(cluster, "switchover", {"To": "pg2"})
    assert cluster.ask("order/pg2", {"Kind": undo}).status == 200


def test_a_switchover_can_be_planned_and_taken_back(pg, cluster):
    assert "nothing is planned" in pg("switchover", "-cancel").stderr
    planned = pg("switchover", "-to=pg2", "-at=+5m")
    assert planned.returncode == 0 and planned.stdout.startswith("Planned: switchover to pg2 at 2"), planned
    record = cluster.record("intent")
    assert record["to"] == "pg2" and 290000 < record["due_ms"] - record["at_ms"] < 310000
    assert "planned for 2" in pg("status").stdout
    again = pg("switchover", "-to=pg2")
    assert again.returncode == 1 and "another is planned: switchover to pg2 (cancel it first)" in again.stderr
    assert pg("switchover", "-cancel").stdout == "Cancelled: switchover\n"
    assert cluster.record("intent") is None
    assert "passed already" in pg("switchover", "-at=2001-01-01T00:00:00Z").stderr
    assert "more than a week" in pg("switchover", "-at=2099-01-01T00:00:00Z").stderr
    assert pg("switchover", "-at=tomorrow").returncode == 2 and pg("failover", "-to=pg2", "-at=+5m").returncode == 2
    assert "only a switchover" in refusal(cluster, "failover", {"To": "pg2", "AtMs": 99})
    cluster.put("intent", {**record, "due_ms": 1})
    assert "has begun" in pg("switchover", "-cancel").stderr


def test_a_stop_is_done_when_the_server_is_down(pg, cluster):
    down = threading.Event()

    def keepers():
        order = until(lambda: cluster.record("order/pg2"))
        cluster.put("order/pg2", {**order, "done": True})
        time.sleep(1)
        down.set()
        cluster.member("pg2", state="stopped", role="")
    acting = threading.Thread(target=keepers, daemon=True)
    acting.start()
    done = pg("stop", "pg2")
    assert down.is_set() and (done.returncode, done.stdout) == (0, "pg2 has done it, and is stopped\n"), done
    acting.join()


def test_settings_are_checked_and_kept_together(pg, cluster):
    assert pg("settings", "mode=strict").stdout == "Set: mode=strict\n"
    assert pg("settings", "max_lag_bytes=1000").returncode == 0
    assert cluster.record("settings") == {"mode": "strict", "max_lag_bytes": 1000}
    for wrong, words in (("mode=fast", "there are async, sync and strict"), ("max_lag_bytes=x", "number of bytes"), ("k=99", "how many")):
        refused = pg("settings", wrong)
        assert refused.returncode == 1 and words in refused.stderr, refused
    assert pg("settings", "none=1").returncode == 2
    for words in ([], ["none"], ["stop"], ["switchover", "pg2"], ["status", "-format=xml"], ["pause", "-stale"]):
        assert pg(*words).returncode == 2, words
