"""A real `serf agent` and ours find each other, whoever comes first, with and without a key."""
import time

import pytest

from serf_pool import ALIVE, FAILED, LONG, new_key, until


def key_of(size):
    return new_key(size) if size else None


def both_see_both(serf, agent):
    serf.sees(agent.name, ALIVE)
    agent.sees(serf.name, ALIVE)


@pytest.mark.parametrize("key_size", [0, 16, 24, 32])
def test_serf_joins_us(pool, key_size):
    key = key_of(key_size)
    agent = pool.agent("ours", key=key)
    serf = pool.serf("theirs", key=key, join=agent.address, tags=[("role", "db")])
    both_see_both(serf, agent)
    assert "rc" in serf.tags("ours")
    assert agent.tags("theirs")["role"] == "db"
    assert serf.complaints() == []


@pytest.mark.parametrize("key_size", [0, 32])
def test_we_join_serf(pool, key_size):
    key = key_of(key_size)
    serf = pool.serf("theirs", key=key)
    agent = pool.agent("ours", key=key, join=serf.address)
    both_see_both(serf, agent)
    time.sleep(3)  # probes, push/pulls and whatever else might annoy it
    both_see_both(serf, agent)
    assert serf.complaints() == []


@pytest.mark.parametrize("words", [["-disable-compression"], ["-protocol=4"]], ids=["uncompressed", "protocol 4"])
def test_a_serf_that_speaks_otherwise_is_understood(pool, words):
    serf = pool.serf("theirs", words=words, tags=[("role", "db")])
    other = pool.serf("other", join=serf.address)
    agent = pool.agent("ours", join=serf.address)
    pool.agree()
    assert agent.tags("theirs")["role"] == "db"
    agent.kill()
    for one in (serf, other):
        one.sees("ours", FAILED)
    agent.start()
    pool.agree()
    assert serf.complaints(r"dial tcp|refused|reset|Push/Pull|fallback") == []


def test_without_the_key_nobody_gets_in(pool):
    serf = pool.serf("theirs", key=new_key())
    agent = pool.agent("ours", join=serf.address)
    time.sleep(2)
    assert list(agent.members()) == ["ours"]
    assert list(serf.members()) == ["theirs"]


def test_a_newcomer_is_known_to_all_at_once(pool):
    serf = pool.serf("theirs")
    pool.serf("other", join=serf.address)
    pool.agent("ours", join=serf.address)
    pool.agree()


def test_serf_can_tell_how_far_we_are(pool):
    serf = pool.serf("theirs")
    agent = pool.agent("ours", join=serf.address)
    both_see_both(serf, agent)
    until(LONG, lambda: "Estimated" in serf.run("rtt", "theirs", "ours").stdout, "an rtt")
