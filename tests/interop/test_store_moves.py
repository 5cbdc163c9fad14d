"""What a snapshot takes along: from SQLite to etcd and back; and restores that kill -9 cuts short, before several servers."""
import base64
import http.client
import json
import os
import random
import threading
import time
from urllib.parse import quote

import pytest

import etcd_cluster
from patience import patient
from store_agents import Agents, until

SEED = int(os.environ.get("STORE_SEED", random.randrange(10**6)))
ROUNDS = int(os.environ.get("STORE_ROUNDS", 6))
NO_ETCD = pytest.mark.skipif(bool(etcd_cluster.why_not()), reason=etcd_cluster.why_not())


class Pools:
    """Pools of agents, each with an engine of its own."""

    def __init__(self, folder):
        self.folder, self.made, self.clusters = folder, [], []

    def sqlite(self, name, servers=1):
        assert servers == 1
        agents = Agents(self.folder / name)
        self.made.append(agents)
        agents.server("s1").start().ready()
        agents.client("a1").start().ready()
        return agents

    def etcd(self, name, servers=2):
        cluster = etcd_cluster.Cluster(3)
        self.clusters.append(cluster)
        settings = {"store": {"engine": "etcd", "endpoints": cluster.start().urls.split(",")}}
        agents = Agents(self.folder / name)
        self.made.append(agents)
        for number in range(servers):
            join = {"retry_join": [agents.all[0].address]} if agents.all else {}
            agents.server(f"s{number + 1}", **settings, **join).start().ready()
        agents.client("a1").start().ready()
        return agents

    def end(self):
        for agents in self.made:
            agents.end()
        for cluster in self.clusters:
            cluster.end()


@pytest.fixture
def pools(tmp_path):
    made = Pools(tmp_path)
    yield made
    made.end()


def keys(agent):
    """Every key, its value and flags; who holds it."""
    reply = agent.call("GET", "/v1/kv/?recurse")
    pairs = reply.json if reply.status == 200 else []
    return {pair["Key"]: (pair["Value"], pair["Flags"]) for pair in pairs}, {pair["Key"]: pair.get("Session") for pair in pairs}


def queries(agent):
    rows = agent.call("GET", "/v1/query").json
    for row in rows:
        row.pop("CreateIndex"), row.pop("ModifyIndex")
    return sorted(rows, key=lambda row: row["ID"])


def restore_all(agent, archive):
    """A slow etcd may cut it short, and says what to do then."""
    end = time.monotonic() + patient(30)
    reply = agent.call("PUT", "/v1/snapshot", archive)
    while "do it again" in reply.text and time.monotonic() < end:
        reply = agent.call("PUT", "/v1/snapshot", archive)
    assert reply.status == 200, reply.text


def move(source, target):
    saved = source.call("GET", "/v1/snapshot")
    assert saved.status == 200
    restore_all(target, saved.body)
    return saved.body


@NO_ETCD
def test_keys_and_queries_move_from_sqlite_to_etcd_and_back_and_locks_stay_behind(pools):
    first = pools.sqlite("first").all[1]
    chance = random.Random(SEED)
    for number in range(150):
        name = chance.choice(["plain", "with space", "ünïcode", "a/b/c", "dots..", "%41"])
        body = chance.randbytes(chance.choice([0, 1, 100, 3000]))
        first.call("PUT", f"/v1/kv/{quote(name)}/{number}"
                          f"?flags={chance.randrange(1 << 64)}", body)
    first.call("PUT", "/v1/kv/large", chance.randbytes(500_000))
    session = first.session(TTL="60s")
    bound = first.session(TTL="60s", Behavior="delete")
    assert first.call("PUT", f"/v1/kv/held?acquire={session}", "by somebody").text == "true"
    assert first.call("PUT", f"/v1/kv/bound?acquire={bound}", "goes with it").text == "true"
    assert first.call("PUT", "/v1/kv/short?ttl=1h", "goes by itself").text == "true"
    assert first.call("POST", "/v1/query", {"Name": "web", "Service": {"Service": "web", "Tags": ["a"]}, "DNS": {"TTL": "7s"}}).status == 200
    before, holders = keys(first)
    assert holders["held"] == session and len(before) == 154
    for name in ("bound", "short"):  # what goes by itself does not travel
        del before[name]

    on_etcd = pools.etcd("second")
    move(first, on_etcd.all[2])
    for agent in on_etcd.all:
        found, holders = keys(agent)
        assert found == before and not any(holders.values())
        assert agent.call("GET", "/v1/session/list").json == []
        assert queries(agent) == queries(first)
    # Free for others at once, and written to as ever.
    other = on_etcd.all[1].session(TTL="60s")
    assert on_etcd.all[1].call("PUT", f"/v1/kv/held?acquire={other}", "by another").text == "true"
    assert on_etcd.all[0].call("PUT", "/v1/kv/new", "on etcd").text == "true"
    now, _ = keys(on_etcd.all[0])

    third = pools.sqlite("third").all[0]
    third.call("PUT", "/v1/kv/gone", "was there before")
    move(on_etcd.all[0], third)
    found, holders = keys(third)
    assert found == now and not any(holders.values()) and "gone" not in found
    assert queries(third) == queries(first)
    assert third.call("GET", "/v1/session/list").json == []


def contents(agent):
    """"old", "new", "refused", or what is neither; None: it is not there to ask."""
    try:
        reply = agent.call("GET", "/v1/kv/m/?recurse", timeout=10)
    except (OSError, http.client.HTTPException):
        return None
    if reply.status == 500:
        return "refused"
    if reply.status == 404:
        return "empty"
    values = [base64.b64decode(pair["Value"] or b"")[:3].decode() for pair in reply.json]
    return values[0] if len(values) == 1200 and len(set(values)) == 1 else f"{len(values)} of {set(values)}"


def fill(agent, word):
    body = [{"KV": {"Verb": "set", "Key": "", "Value": base64.b64encode(word.encode() + b"x" * 1000).decode()}}]
    for begin in range(0, 1200, 60):
        rows = [{"KV": {**body[0]["KV"], "Key": f"m/{number}"}} for number in range(begin, begin + 60)]
        until(lambda rows=rows: agent.call("PUT", "/v1/txn", rows).status == 200)


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("etcd", marks=NO_ETCD)])
def test_a_restore_that_is_cut_short_shows_nothing_until_it_is_done_again(pools, engine):
    chance = random.Random(SEED)
    agents = getattr(pools, engine)("moves").all
    servers = [agent for agent in agents if agent.name.startswith("s")]
    fill(servers[0], "new")
    new = servers[0].call("GET", "/v1/snapshot").body
    fill(servers[0], "old")
    old = servers[0].call("GET", "/v1/snapshot").body
    begun = time.monotonic()
    restore_all(servers[0], old)
    takes = time.monotonic() - begun
    seen = {}
    for number in range(ROUNDS):
        victim, over, strange = chance.choice(servers), threading.Event(), []

        def watch(agent):
            while not over.is_set():
                found = contents(agent)
                if found not in ("old", "new", "refused", None):
                    strange.append((agent.name, found))

        def restore():
            try:
                victim.call("PUT", "/v1/snapshot", new)
            except (OSError, http.client.HTTPException):
                pass

        threads = [threading.Thread(target=watch, args=(agent,), daemon=True) for agent in agents] + [threading.Thread(target=restore, daemon=True)]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0, takes * 1.5))
        victim.kill()
        time.sleep(0.2)
        after = {agent.name: contents(agent) for agent in agents if agent is not victim}
        victim.start()
        until(lambda: contents(victim) is not None)
        until(lambda: len({contents(agent) for agent in agents}) == 1)
        over.set()
        for thread in threads:
            thread.join(patient(60))
        state = contents(victim)
        seen[state] = seen.get(state, 0) + 1
        assert not strange and state in ("old", "new", "refused"), (SEED, number, state, strange[:5], after)
        if state == "refused":
            assert victim.call("PUT", "/v1/kv/other", "x").status == 500
            restore_all(chance.choice(agents), new)
            until(lambda: {contents(agent) for agent in agents} == {"new"})
        restore_all(victim, old)
        until(lambda: {contents(agent) for agent in agents} == {"old"})
    print(json.dumps({"seed": SEED, "engine": engine, "restore takes": round(takes, 3), "after the kill": seen}))
