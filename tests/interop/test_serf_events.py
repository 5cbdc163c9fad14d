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


ROUNDS = 4


def ask_all(questions):
    """What is missing of what each (asker, words, answer) should hear; none may hear too much.

    All are asked at a time, as each takes as long as its timeout says; but serf gives two that begin
    in one moment the same Lamport time and then mixes up their answers: one begins after the other."""
    running = [(asker, words, wanted, asker.begin_query("-timeout=5s", *words)) for asker, words, wanted in questions]
    missing = []
    for asker, words, wanted, query in running:
        heard = asker.end_query(query)
        assert set(heard["Acks"]) <= set(wanted["Acks"]), (asker.name, words, heard)
        assert heard["Responses"].items() <= wanted["Responses"].items(), (asker.name, words, heard)
        if heard != wanted:
            missing.append((asker, words, wanted))
    return missing


def hear_all(questions):
    """A query is a rumour that nobody repeats: of many, one may miss a member. Then it is asked again."""
    for _ in range(ROUNDS):
        questions = ask_all(questions)
        if not questions:
            return
    raise AssertionError("%d times not heard by all: %s" % (ROUNDS, [(asker.name, words) for asker, words, _ in questions]))


def test_queries_are_acked_by_those_they_name_and_match(mixed):
    hear_all([(asker, [*words, "ask-%d" % next(counter)], {"Acks": acks, "Responses": {}})
              for words, acks in ASKED for asker in asked_by(mixed, ("s1", "r2"))])


def test_handlers_of_both_kinds_answer_a_query(mixed):
    hear_all([(asker, ["greet", "you"], {"Acks": ALL, "Responses": {"s1": "hello you", "r1": "hello you"}})
              for asker in mixed.made])


def test_nothing_of_it_annoyed_serf(mixed):
    for serf in serfs(mixed):
        assert serf.complaints() == []
