"""User events and queries, asked from either side, in a pool of both kinds."""
import itertools

import pytest

from serf_pool import Serf

counter = itertools.count(1)


@pytest.fixture
def name():
    """Unused so far: an event of a name and payload is delivered once."""
    return "deploy-%d" % next(counter)


def serfs(pool):
    return [program for program in pool.made if isinstance(program, Serf)]


def agents(pool):
    return [program for program in pool.made if not isinstance(program, Serf)]


def test_an_event_of_serf_reaches_all(mixed, name):
    serfs(mixed)[0].ask("event", "-coalesce=false", name, "v1")
    for agent in agents(mixed):
        agent.says("user event " + name)
    serfs(mixed)[1].says("user-event: " + name)


def test_a_coalesced_event_of_serf_reaches_all(mixed, name):
    serfs(mixed)[1].ask("event", name, "v1")
    for agent in agents(mixed):
        agent.says("user event " + name)


ALL = ["r1", "r2", "r3", "s1", "s2"]
ASKED = [  # words of `serf query`, who hears it
    ([], ALL),
    (["-node=r2", "-node=s2"], ["r2", "s2"]),
    (["-tag", "role=^node$"], ["r1", "r2", "r3"]),
    (["-tag", "role=^(db|cache)$"], ["s1", "s2"]),
    (["-tag", "role=.*"], ALL),
    (["-tag", "zone=ea[rs]t"], ["s1"]),
    (["-tag", "role=node", "-node=r1", "-node=s1"], ["r1"]),
    (["-relay-factor=2"], ALL),
]


def test_queries_of_serf_are_acked_by_those_they_name_and_match(mixed):
    """All run at a time, as each takes as long as its timeout says; but serf gives two that begin
    in one moment the same Lamport time and then mixes up their answers: one begins after the other."""
    asker = serfs(mixed)[0]
    running = [asker.begin_query("-timeout=5s", *words, "ask-%d" % next(counter)) for words, _ in ASKED]
    heard = [(words, asker.end_query(query)["Acks"]) for (words, _), query in zip(ASKED, running)]
    assert heard == ASKED


def test_nothing_of_it_annoyed_serf(mixed):
    for serf in serfs(mixed):
        assert serf.complaints() == []
