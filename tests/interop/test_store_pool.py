"""Several agents and the store: who may keep it, who is asked, and what a server that restarts still knows."""
import pytest

from store_agents import Agents, until


@pytest.fixture
def agents(tmp_path):
    made = Agents(tmp_path)
    yield made
    made.end()


def test_two_stores_in_a_pool_refuse_until_one_is_left(agents):
    one = agents.server("s1").start().ready()
    assert one.call("PUT", "/v1/kv/mine", "1").text == "true"
    two = agents.server("s2", retry_join=[one.address]).start()
    for agent in (one, two):
        until(lambda: agent.call("PUT", "/v1/kv/x", "1").status == 500)
        for method, path in (("PUT", "/v1/kv/x"), ("GET", "/v1/kv/x?stale"), ("PUT", "/v1/session/create"), ("PUT", "/v1/txn")):
            reply = agent.call(method, path)
            assert reply.status == 500 and "s1 (sqlite)" in reply.text and "s2 (sqlite)" in reply.text, reply.text
            assert 'store { engine = "none" }' in reply.text
    assert one.call("GET", "/v1/catalog/nodes").status == 200
    two.end()
    until(lambda: one.call("GET", "/v1/kv/mine").status == 200, 60)


def test_a_server_that_was_killed_knows_all_that_it_had_answered(agents):
    one = agents.server("s1").start().ready()
    session = one.session(TTL="30s")
    assert one.call("PUT", f"/v1/kv/lock?acquire={session}", "me").text == "true"
    before = one.call("GET", "/v1/kv/lock")
    for i in range(3):
        assert one.call("PUT", f"/v1/kv/n{i}", str(i)).text == "true"
        one.kill()
        one.start().ready()
    after = one.call("GET", "/v1/kv/lock")
    assert after.json == before.json and after.index >= before.index
    assert [p["Key"] for p in one.call("GET", "/v1/kv/?recurse").json] == ["lock", "n0", "n1", "n2"]
    assert one.call("PUT", f"/v1/session/renew/{session}").status == 200


def test_without_a_server_nobody_waits(agents):
    lone = agents.add("a1").start()
    reply = until(lambda: lone.call("GET", "/v1/kv/x"))
    assert reply.status == 500 and reply.text.startswith("No cluster leader")
    assert lone.call("PUT", "/v1/session/create").status == 500


def test_a_blocked_reader_behind_another_agent_is_woken(agents):
    agents.server("s1").start().ready()
    agent = agents.client("a1").start().ready()
    agent.call("PUT", "/v1/kv/w", "1")
    index = agent.call("GET", "/v1/kv/w").index
    import threading
    threading.Timer(0.5, lambda: agents.all[0].call("PUT", "/v1/kv/w", "2")).start()
    reply = agent.call("GET", f"/v1/kv/w?index={index}&wait=30s")
    assert reply.json[0]["Value"] == "Mg==" and reply.index > index


def test_a_request_sent_twice_is_done_once(agents):
    one = agents.server("s1").start().ready()
    headers = {"X-Rollcall-Request": "00112233445566778899aabbccddeeff"}
    first = one.call("PUT", "/v1/kv/once?cas=0", "1", headers)
    again = one.call("PUT", "/v1/kv/once?cas=0", "1", headers)
    assert first.text == again.text == "true"
    assert one.call("PUT", "/v1/kv/once?cas=0", "1").text == "false"
    made = one.call("PUT", "/v1/session/create", "{}", {"X-Rollcall-Request": "ff" * 16})
    assert one.call("PUT", "/v1/session/create", "{}", {"X-Rollcall-Request": "ff" * 16}).json == made.json
    assert len(one.call("GET", "/v1/session/list").json) == 1


def test_a_key_with_a_ttl_goes_by_itself(agents):
    one = agents.server("s1").start().ready()
    assert one.call("PUT", "/v1/kv/short?ttl=1s", "x").text == "true"
    index = one.call("GET", "/v1/kv/short").index
    reply = one.call("GET", f"/v1/kv/short?index={index}&wait=30s")
    assert reply.status == 404 and reply.index > index


def test_values_have_a_limit_that_is_counted(agents):
    one = agents.server("s1").start().ready()
    assert one.call("PUT", "/v1/kv/big", "x" * 524288).text == "true"
    assert one.call("GET", "/v1/kv/big?raw").body == b"x" * 524288
    for body in ("x" * 524289, (b"x" * 65536 for _ in range(9))):  # with a length, and in chunks
        reply = one.call("PUT", "/v1/kv/big", body)
        assert reply.status == 413 and reply.text.startswith("Request body("), reply.text


def test_an_agent_for_trying_keeps_its_store_in_memory(agents):
    one = agents.add("d1", server=True, store={"engine": "memory"}).start().ready()
    session = one.session(TTL="1s", Behavior="delete")
    assert one.call("PUT", f"/v1/kv/k?acquire={session}", "x").text == "true"
    index = one.call("GET", "/v1/kv/k").index
    assert one.call("GET", f"/v1/kv/k?index={index}&wait=30s").status == 404
