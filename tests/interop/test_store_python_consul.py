"""python-consul's KV, session and txn calls, and locks made of them, against real agents."""
import threading
import time

import pytest

consul = pytest.importorskip("consul")

from store_agents import Agents, until  # noqa: E402


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """A server, and an agent that has no engine and asks it."""
    agents = Agents(tmp_path_factory.mktemp("python-consul"))
    agents.server("s1").start().ready()
    agents.client("a1").start()
    yield agents
    agents.end()


@pytest.fixture(params=["at the server", "through an agent"])
def client(request, pool):
    agent = pool.all[0 if request.param == "at the server" else 1]
    if agent is pool.all[1]:
        agent.ready()
    made = consul.Consul(host=agent.address)
    made.kv.delete("t/", recurse=True)
    return made


def test_keys_come_and_go(client):
    assert client.kv.put("t/a", "1") is True
    assert client.kv.put("t/b/c", b"\x00\xff") is True
    index, pair = client.kv.get("t/a")
    assert int(index) > 0 and pair["Value"] == b"1" and pair["Flags"] == 0
    assert client.kv.get("t/b/c")[1]["Value"] == b"\x00\xff"
    assert [p["Key"] for p in client.kv.get("t/", recurse=True)[1]] == ["t/a", "t/b/c"]
    assert client.kv.get("t/", keys=True)[1] == ["t/a", "t/b/c"]
    assert client.kv.get("t/", keys=True, separator="/")[1] == ["t/a", "t/b/"]
    assert client.kv.delete("t/a") is True
    index, pair = client.kv.get("t/a")
    assert int(index) > 0 and pair is None


def test_a_value_is_compared_before_it_is_set(client):
    assert client.kv.put("t/cas", "1", cas=0) is True
    assert client.kv.put("t/cas", "2", cas=0) is False
    index = client.kv.get("t/cas")[1]["ModifyIndex"]
    assert client.kv.put("t/cas", "3", cas=index, flags=7) is True
    assert client.kv.put("t/cas", "4", cas=index) is False
    assert client.kv.get("t/cas")[1]["Flags"] == 7
    assert client.kv.delete("t/cas", cas=index) is False


def test_consistency_modes_are_taken(client):
    client.kv.put("t/mode", "x")
    for mode in ("default", "consistent", "stale"):
        _, pair = client.kv.get("t/mode", consistency=mode)
        assert pair is None and mode == "stale" or pair["Value"] == b"x"


def test_a_watch_wakes(client):
    client.kv.put("t/watch", "1")
    index, _ = client.kv.get("t/watch")
    threading.Timer(0.5, lambda: client.kv.put("t/watch", "2")).start()
    later, pair = client.kv.get("t/watch", index=index, wait="20s")
    assert int(later) > int(index) and pair["Value"] == b"2"


def test_sessions(client):
    session = client.session.create(name="me", ttl=20, behavior="delete", lock_delay=1)
    assert client.session.info(session)[1]["Name"] == "me"
    assert session in [s["ID"] for s in client.session.list()[1]]
    node = client.session.info(session)[1]["Node"]
    assert session in [s["ID"] for s in client.session.node(node)[1]]
    assert client.session.renew(session)["ID"] == session
    assert client.session.destroy(session) is True
    assert client.session.info(session)[1] is None
    with pytest.raises(consul.NotFound):
        client.session.renew(session)


def test_a_lock_has_one_holder(client):
    one = client.session.create(name="one", lock_delay=0)
    two = client.session.create(name="two", lock_delay=0)
    assert client.kv.put("t/lock", "one", acquire=one) is True
    assert client.kv.put("t/lock", "two", acquire=two) is False
    assert client.kv.get("t/lock")[1]["Session"] == one
    assert client.kv.put("t/lock", "two", release=two) is False
    assert client.kv.put("t/lock", "", release=one) is True
    assert client.kv.put("t/lock", "two", acquire=two) is True
    client.session.destroy(two)
    assert "Session" not in client.kv.get("t/lock")[1]
    assert client.kv.put("t/lock", "one", acquire=one) is True
    client.session.destroy(one)


def test_transactions(pool):
    """This version of python-consul knows none; its callers send them themselves."""
    for agent in pool.all[:2]:
        reply = agent.call("PUT", "/v1/txn", [{"KV": {"Verb": "set", "Key": "t/1", "Value": "b25l"}}, {"KV": {"Verb": "get", "Key": "t/1"}}])
        assert reply.status == 200 and reply.json["Errors"] is None and reply.json["Results"][1]["KV"]["Value"] == "b25l"
        reply = agent.call("PUT", "/v1/txn", [{"KV": {"Verb": "check-not-exists", "Key": "t/1"}}])
        assert reply.status == 409 and reply.json["Errors"][0] == {"OpIndex": 0, "What": 'key "t/1" exists'}


def test_a_ttl_is_kept_to(client):
    session = client.session.create(name="short", ttl=10, behavior="delete")
    client.session.destroy(session)
    assert client.kv.put("t/short", "x") is True


def test_a_session_ends_with_its_node(pool):
    agent = pool.client("goes").start()
    agent.ready()
    made = consul.Consul(host=agent.address)
    session = until(lambda: made.session.create(name="bound", lock_delay=0))
    here = consul.Consul(host=pool.all[0].address)
    assert here.session.info(session)[1]["Node"] == "goes"
    agent.kill()
    begun = time.monotonic()
    until(lambda: here.session.info(session)[1] is None, 60)
    print(f"ended {time.monotonic() - begun:.1f} s after its node was killed")
