"""What Patroni asks of the HTTP API (its Consul module, 3.0.2), call by call."""
import threading
import time

import pytest

from patience import patient
from store_agents import Agents

SCOPE = "/v1/kv/service/demo"


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    agents = Agents(tmp_path_factory.mktemp("patroni"))
    made = agents.server().start()
    made.ready()
    yield made
    agents.end()


def as_patroni(agent, name, ttl="15.0s"):
    reply = agent.call("PUT", "/v1/session/create",
                       {"name": f"demo-{name}", "checks": [], "lockdelay": "0.001s", "behavior": "delete", "ttl": ttl})
    assert reply.status == 200, reply.text
    return reply.json["ID"]


def test_a_ttl_that_is_too_short_is_refused_in_the_words_it_looks_for(agent):
    reply = agent.call("PUT", "/v1/session/create", {"name": "x", "checks": [], "ttl": "0.5s", "behavior": "delete"})
    assert reply.status == 500 and reply.text.startswith("Invalid Session TTL"), reply.text
    assert agent.call("GET", "/v1/agent/self").json["Config"]["SessionTTLMin"] == 10**9


def test_a_session_is_shown_as_it_was_made(agent):
    session = as_patroni(agent, "n1")
    shown = agent.call("GET", f"/v1/session/info/{session}").json[0]
    assert (shown["Name"], shown["TTL"], shown["Behavior"], shown["LockDelay"], shown["NodeChecks"] or []) == ("demo-n1", "15.0s", "delete", 1000000, [])


def test_renewing_an_unknown_session_is_404_and_a_known_one_a_list(agent):
    session = as_patroni(agent, "n1")
    assert agent.call("PUT", f"/v1/session/renew/{session}").json[0]["ID"] == session
    reply = agent.call("PUT", "/v1/session/renew/00000000-0000-4000-8000-000000000000")
    assert (reply.status, reply.text) == (404, "Session id '00000000-0000-4000-8000-000000000000' not found")


def test_a_loop_of_a_cluster_from_nothing(agent):
    agent.call("DELETE", f"{SCOPE}/?recurse=1")
    nothing = agent.call("GET", f"{SCOPE}/?recurse=1")
    assert nothing.status == 404 and nothing.index > 0 and nothing.body == b""

    assert agent.call("PUT", f"{SCOPE}/initialize?cas=0", "").text == "true"
    assert agent.call("PUT", f"{SCOPE}/initialize?cas=0", "").text == "false"
    assert agent.call("GET", f"{SCOPE}/initialize").json[0]["Value"] is None
    assert agent.call("PUT", f"{SCOPE}/initialize", "7012345678901234567").text == "true"
    assert agent.call("PUT", f"{SCOPE}/config", "{}").text == "true"

    one, two = as_patroni(agent, "n1"), as_patroni(agent, "n2")
    assert agent.call("PUT", f"{SCOPE}/members/n1?acquire={one}", '{"role":"replica"}').text == "true"
    assert agent.call("PUT", f"{SCOPE}/members/n2?acquire={two}", '{"role":"replica"}').text == "true"
    taken = agent.call("PUT", f"{SCOPE}/leader?acquire={one}", "n1")
    assert taken.text == "true" and int(taken.headers["x-rollcall-term"]) > 0
    held = agent.call("PUT", f"{SCOPE}/leader?acquire={two}", "n2")
    assert (held.status, held.text) == (200, "false")
    dead = agent.call("PUT", f"{SCOPE}/leader?acquire=00000000-0000-4000-8000-000000000000", "n3")
    assert dead.status == 500 and dead.text.startswith("invalid session"), dead.text

    tree = {pair["Key"].removeprefix("service/demo/"): pair for pair in agent.call("GET", f"{SCOPE}/?recurse=1").json}
    assert sorted(tree) == ["config", "initialize", "leader", "members/n1", "members/n2"]
    assert tree["leader"]["Session"] == one and "Session" not in tree["config"]

    again = agent.call("PUT", f"{SCOPE}/leader?acquire={one}", "n1")
    assert again.text == "true"
    assert agent.call("GET", f"{SCOPE}/leader").json[0]["ModifyIndex"] == tree["leader"]["ModifyIndex"]

    index = tree["config"]["ModifyIndex"]
    assert agent.call("PUT", f"{SCOPE}/config?cas={index}", '{"ttl":30}').text == "true"
    assert agent.call("PUT", f"{SCOPE}/config?cas={index}", '{"ttl":31}').text == "false"
    for key in ("sync", "status", "history", "failsafe", "failover"):
        assert agent.call("PUT", f"{SCOPE}/{key}", "{}").text == "true"

    leader = tree["leader"]["ModifyIndex"]
    assert agent.call("DELETE", f"{SCOPE}/leader?cas={leader - 1}").text == "false"
    assert agent.call("DELETE", f"{SCOPE}/leader?cas=0").text == "false"
    assert agent.call("DELETE", f"{SCOPE}/leader?cas={leader}").text == "true"
    assert agent.call("DELETE", f"{SCOPE}/leader?cas={leader}").text == "true"  # a missing key
    assert agent.call("DELETE", f"{SCOPE}/members/n1").text == "true"
    assert agent.call("DELETE", f"{SCOPE}/initialize").text == "true"
    assert agent.call("DELETE", f"{SCOPE}/?recurse=1").text == "true"
    assert agent.call("GET", f"{SCOPE}/?recurse=1").status == 404


def test_a_blocked_reader_hears_of_a_leader_whose_session_expires(agent):
    session = as_patroni(agent, "n1", ttl="2.0s")
    assert agent.call("PUT", f"{SCOPE}/gone?acquire={session}", "n1").text == "true"
    index = agent.call("GET", f"{SCOPE}/gone").index
    begun = time.monotonic()
    reply = agent.call("GET", f"{SCOPE}/gone?index={index}&wait=30.887847900390625s")
    took = time.monotonic() - begun
    assert (reply.status, reply.body) == (404, b"") and reply.index > index
    assert 1.5 < took < 20, took  # what had gone by when we looked counts too
    print(f"a TTL of 2 s ended after {took:.3f} s")


def test_a_session_lives_as_long_as_it_is_renewed(agent):
    session = as_patroni(agent, "n1", ttl="2.0s")
    assert agent.call("PUT", f"{SCOPE}/kept?acquire={session}", "n1").text == "true"
    for _ in range(8):
        time.sleep(0.5)
        assert agent.call("PUT", f"/v1/session/renew/{session}").status == 200
    assert agent.call("GET", f"{SCOPE}/kept").json[0]["Session"] == session
    agent.call("PUT", f"/v1/session/destroy/{session}")
    assert agent.call("GET", f"{SCOPE}/kept").status == 404


def test_a_wait_ends_in_time_though_nothing_happens(agent):
    agent.call("PUT", f"{SCOPE}/still", "x")
    index = agent.call("GET", f"{SCOPE}/still").index
    begun = time.monotonic()
    reply = agent.call("GET", f"{SCOPE}/still?index={index}&wait=2.5s")
    took = time.monotonic() - begun
    assert reply.status == 200 and 2.4 < took < 2.5 + 2.5 / 15 + 10, took


def test_another_key_does_not_end_a_wait(agent):
    agent.call("PUT", f"{SCOPE}/watched", "1")
    index = agent.call("GET", f"{SCOPE}/watched").index
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(agent.call("GET", f"{SCOPE}/watched?index={index}&wait=30s")), daemon=True)
    waiting.start()
    for i in range(20):
        agent.call("PUT", f"{SCOPE}/other{i}", "1")
    time.sleep(0.3)
    assert not answers
    agent.call("PUT", f"{SCOPE}/watched", "2")
    waiting.join(patient(20))
    assert answers[0].index > index and answers[0].json[0]["Value"] == "Mg=="


def test_a_prefix_is_watched_below_it(agent):
    agent.call("PUT", f"{SCOPE}/tree/a", "1")
    index = agent.call("GET", f"{SCOPE}/tree/?recurse").index
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(agent.call("GET", f"{SCOPE}/tree/?recurse&index={index}&wait=30s")), daemon=True)
    waiting.start()
    time.sleep(0.3)
    agent.call("DELETE", f"{SCOPE}/tree/a")
    waiting.join(patient(20))
    assert answers[0].status == 404 and answers[0].index > index


def test_a_service_is_deregistered_by_get_from_this_machine_but_not_by_a_page(agent):
    """python-consul 0.7.1, which Debian's Patroni uses, asks so."""
    assert agent.call("PUT", "/v1/agent/service/register", {"Name": "demo", "ID": "demo/n1", "Tags": ["primary"]}).status == 200
    for page in ({"Origin": "http://elsewhere"}, {"Sec-Fetch-Site": "cross-site"}):
        assert agent.call("GET", "/v1/agent/service/deregister/demo/n1", headers=page).status in (403, 405)
    assert "demo/n1" in agent.call("GET", "/v1/agent/services").json
    assert agent.call("GET", "/v1/agent/service/deregister/demo/n1").status == 200
    assert "demo/n1" not in agent.call("GET", "/v1/agent/services").json
