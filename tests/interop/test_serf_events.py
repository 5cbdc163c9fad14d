"""User events and queries, asked from either side, in a pool of both kinds."""
import base64
import itertools

import pytest

from serf_pool import LONG, Serf, until

counter = itertools.count(1)


@pytest.fixture
def name():
    """Unused so far: an event of a name and payload is delivered once."""
    return "deploy-%d" % next(counter)


def serfs(pool):
    return [program for program in pool.made if isinstance(program, Serf)]


def agents(pool):
    return [program for program in pool.made if not isinstance(program, Serf)]


def lists(agent, name, payload):
    """Waits for exactly one event of that name, with that payload, in the agent's list."""
    until(LONG, lambda: [base64.b64decode(event["Payload"]) for event in agent.api("/v1/event/list?name=" + name)] == [payload],
          lambda: "%s lists %s once: %s" % (agent.name, name, agent.api("/v1/event/list")))


@pytest.mark.parametrize("coalesce", ["false", "true"])
def test_an_event_of_serf_reaches_all(mixed, name, coalesce):
    serfs(mixed)[0].ask("event", "-coalesce=" + coalesce, name, "v1")
    for agent in agents(mixed):
        lists(agent, name, b"v1")
    serfs(mixed)[1].says("user-event: " + name)


def test_an_event_of_ours_reaches_all(mixed, name):
    agents(mixed)[1].api("/v1/event/fire/" + name, "PUT", b"v2 of it")
    for serf in serfs(mixed):
        serf.says("user-event: " + name)
    for agent in agents(mixed):
        lists(agent, name, b"v2 of it")


def test_a_handler_of_serf_gets_the_payload_of_our_event(pool):
    out = pool.folder / "payload"
    serf = pool.serf("theirs", words=["-event-handler=user:deploy=cat >%s" % out])
    agent = pool.agent("ours", join=serf.address)
    pool.agree()
    agent.api("/v1/event/fire/deploy", "PUT", b"from us")
    until(LONG, lambda: out.exists() and out.read_text().strip() == "from us", "the handler wrote the payload")


ALL = ["r1", "r2", "r3", "s1", "s2"]
ASKED = [  # words of `serf query`, who hears it
    ([], ALL),
    (["-node=r2", "-node=s2"], ["r2", "s2"]),
    (["-tag", "role=^node$"], ["r1", "r2", "r3"]),
    (["-tag", "role=^(db|cache)$"], ["s1", "s2"]),
    (["-tag", "role=.*"], ALL),
    (["-tag", "zone=ea[rs]t"], ["s1"]),
    (["-tag", "rc=^[0-9]+"], ["r1", "r2", "r3"]),
    (["-tag", "role=node", "-node=r1", "-node=s1"], ["r1"]),
    (["-relay-factor=2"], ALL),
]


def asked_by(pool, names):
    return [program for program in pool.made if program.name in names]


def test_queries_are_acked_by_those_they_name_and_match(mixed):
    """All run at a time, as each takes as long as its timeout says; but serf gives two that begin
    in one moment the same Lamport time and then mixes up their answers: one begins after the other."""
    running = [(asker, words, asker.begin_query("-timeout=5s", *words, "ask-%d" % next(counter)))
               for words, _ in ASKED for asker in asked_by(mixed, ("s1", "r2"))]
    heard = [(asker.name, words, asker.end_query(query)["Acks"]) for asker, words, query in running]
    assert heard == [(name, words, acks) for words, acks in ASKED for name in ("s1", "r2")]


def test_handlers_of_both_kinds_answer_a_query(mixed):
    running = [(asker, asker.begin_query("-timeout=5s", "greet", "you")) for asker in mixed.made]
    for asker, query in running:
        heard = asker.end_query(query)
        assert heard == {"Acks": ALL, "Responses": {"s1": "hello you", "r1": "hello you"}}, asker.name


def test_nothing_of_it_annoyed_serf(mixed):
    for serf in serfs(mixed):
        assert serf.complaints() == []
