"""The keys of a mixed pool change while it runs, driven from either kind."""
import json
import re
import signal

import pytest

from serf_pool import FAILED, LONG, Serf, mixed_pool, new_key, until, why_not

NAMES = ["r1", "r2", "r3", "s1", "s2"]


@pytest.fixture
def keyed(tmp_path):
    """An encrypted pool of both kinds; its key is pool.key."""
    if why_not():
        pytest.skip(why_not())
    made = mixed_pool(tmp_path, new_key())
    yield made
    made.end()


def member(pool, name):
    return next(program for program in pool.made if program.name == name)


def order(program, verb, key):
    """True when every member has said yes."""
    done = program.run("keys" if isinstance(program, Serf) else "keyring", verb, key)
    return done.returncode == 0, done.stdout


def must(program, verb, key):
    """Orders may be repeated: of an answer that was lost nobody knows whether it was a yes."""
    until(LONG, lambda: order(program, verb, key)[0], lambda: "%s %s: %s" % (program.name, verb, order(program, verb, key)[1]))


def rotate(program, old, new):
    must(program, "-install", new)
    must(program, "-use", new)
    must(program, "-remove", old)


def keys_as_serf_lists_them(serf):
    """{key: how many of how many}"""
    return dict(re.findall(r"^\s*(\S+=*) +\[(\d+/\d+)\]$", serf.run("keys", "-list").stdout, re.M))


def keys_as_we_list_them(agent):
    """{key: nodes that hold it}"""
    done = agent.run("keyring", "-list", "-format=json")
    return {} if done.returncode != 0 else {key: count for ring in json.loads(done.stdout) for key, count in ring["Keys"].items()}


@pytest.mark.parametrize("asked", ["s2", "r2"])
def test_a_key_is_changed_from_either_kind(keyed, asked):
    old, new = keyed.key, new_key()
    rotate(member(keyed, asked), old, new)
    until(LONG, lambda: keys_as_serf_lists_them(member(keyed, "s1")) == {new: "5/5"},
          lambda: "serf lists: " + member(keyed, "s1").run("keys", "-list").stdout)
    until(LONG, lambda: keys_as_we_list_them(member(keyed, "r1")) == {new: 5},
          lambda: "we list: " + member(keyed, "r1").run("keyring", "-list").stdout)
    keyed.agree()
    for name in ("s1", "s2"):
        assert member(keyed, name).complaints() == []


@pytest.mark.parametrize("size", [16, 24, 32])
def test_a_key_of_any_size_may_follow(keyed, size):
    new = new_key(size)
    rotate(member(keyed, "r1"), keyed.key, new)
    keyed.agree()
    must(member(keyed, "s1"), "-use", new)


def test_after_a_change_those_who_start_again_come_back(keyed):
    """Our ring is kept in the data folder, and is stronger than the old key of the command line."""
    new = new_key()
    rotate(member(keyed, "s1"), keyed.key, new)
    agent = member(keyed, "r3")
    agent.kill()
    keyed.agree(r3=FAILED)
    agent.start()
    keyed.agree()


def test_who_slept_through_a_change_is_not_lost(keyed):
    """The order waits until it is back: without all there is no yes, and the old key stays."""
    new = new_key()
    sleeper = member(keyed, "r3")
    sleeper.signal(signal.SIGSTOP)
    try:
        member(keyed, "r1").sees("r3", FAILED)
        refused, said = order(member(keyed, "r1"), "-use", new)
        assert not refused, said
    finally:
        sleeper.signal(signal.SIGCONT)
    keyed.agree()
    rotate(member(keyed, "r2"), keyed.key, new)
    until(LONG, lambda: keys_as_we_list_them(sleeper) == {new: 5}, lambda: sleeper.run("keyring", "-list").stdout)
    keyed.agree()
