"""Serf and we agree on who leaves, dies, comes back, sleeps or is thrown out."""
import re
import signal

import pytest

from patience import patient
from serf_pool import FAILED, LEFT, Deaf, new_key, until


@pytest.mark.parametrize("key", [None, new_key()], ids=["plain", "encrypted"])
def test_a_killed_serf_is_failed_and_welcome_back(pool, key):
    serf = pool.serf("theirs", key=key)
    agent = pool.agent("ours", key=key, join=serf.address)
    other = pool.agent("more", key=key, join=serf.address)
    pool.agree()
    serf.kill()
    pool.agree(theirs=FAILED)
    serf.command.append("-join=" + agent.address)
    serf.start()
    pool.agree()
    assert other.runs()


@pytest.mark.parametrize("key", [None, new_key()], ids=["plain", "encrypted"])
def test_when_we_are_killed_serf_says_failed_and_welcomes_us_back(pool, key):
    serf = pool.serf("theirs", key=key)
    pool.serf("other", key=key, join=serf.address)
    agent = pool.agent("ours", key=key, join=serf.address)
    pool.agree()
    agent.kill()
    pool.agree(ours=FAILED)
    agent.start()
    pool.agree()


def test_a_serf_that_leaves_has_left_and_may_come_back(pool):
    serf = pool.serf("theirs")
    other = pool.serf("other", join=serf.address)
    agent = pool.agent("ours", join=other.address, profile="lan")  # in no hurry to say failed
    pool.agree()
    serf.ask("leave")
    serf.process.wait(patient(60))
    pool.agree(theirs=LEFT)
    assert "failed: theirs" not in agent.said()
    serf.command.append("-join=" + agent.address)
    serf.start()
    pool.agree()


def test_when_we_leave_serf_says_left_and_welcomes_us_back(pool):
    serf = pool.serf("theirs")
    other = pool.serf("other", join=serf.address)
    agent = pool.agent("ours", join=serf.address)
    pool.agree()
    assert agent.stop() == 0
    pool.agree(ours=LEFT)
    assert "EventMemberFailed: ours" not in serf.said() + other.said()
    agent.start()
    pool.agree()


def test_a_stopped_serf_is_failed_and_comes_back(pool):
    serf = pool.serf("theirs")
    agent = pool.agent("ours", join=serf.address)
    pool.agree()
    serf.signal(signal.SIGSTOP)
    agent.sees("theirs", FAILED)
    serf.signal(signal.SIGCONT)
    pool.agree()


def test_a_serf_that_sleeps_for_a_moment_is_suspect_and_refutes(pool):
    """Five members by LAN timers: the suspicion lasts at least 4 s, so a slow machine has time."""
    serf = pool.serf("theirs", words=["-profile=lan"])
    agents = [pool.agent(name, join=serf.address, profile="lan") for name in ("r1", "r2", "r3")]
    pool.agree()
    serf.signal(signal.SIGSTOP)
    try:
        agents[0].says("suspect: theirs")
    finally:
        serf.signal(signal.SIGCONT)
    agents[0].says("alive: theirs")
    pool.agree()
    assert not any("failed: theirs" in agent.said() for agent in agents)


def test_when_we_sleep_for_a_moment_serf_suspects_us_and_we_refute(pool):
    serf = pool.serf("theirs", words=["-profile=lan"])
    pool.serf("other", words=["-profile=lan"], join=serf.address)
    pool.agent("more", join=serf.address, profile="lan")
    agent = pool.agent("ours", join=serf.address, profile="lan")
    pool.agree()
    agent.signal(signal.SIGSTOP)
    try:
        serf.says("Suspect ours has failed")
    finally:
        agent.signal(signal.SIGCONT)
    pool.agree()
    assert "EventMemberFailed: ours" not in serf.said()


@pytest.mark.slow
def test_who_is_reached_by_tcp_alone_stays_and_is_told_of(pool):
    """WAN timers, or on a busy machine the TCP ping might come too late as well."""
    serf = pool.serf("theirs", words=["-profile=wan"])
    agent = pool.agent("ours", join=serf.address, profile="wan")
    other = pool.agent("more", join=serf.address, profile="wan")
    pool.agree()
    with Deaf(agent):
        serf.says("Was able to connect to ours but other probes failed", 90)
        until(90, lambda: re.search(r"ours.* TCP", other.said()), lambda: "ours is told of: " + other.said())
        pool.agree()
    assert "EventMemberFailed: ours" not in serf.said()
    assert "failed: ours" not in other.said()


def test_a_force_leave_while_we_live_is_taken_back(pool):
    serf = pool.serf("theirs")
    pool.serf("other", join=serf.address)
    pool.agent("ours", join=serf.address)
    pool.agree()
    serf.ask("force-leave", "ours")
    pool.agree()


def test_a_force_leave_of_serf_while_it_lives_is_taken_back(pool):
    serf = pool.serf("theirs")
    pool.serf("other", join=serf.address)
    agent = pool.agent("ours", join=serf.address)
    pool.agree()
    agent.ask("force-leave", "theirs")
    pool.agree()


def test_a_force_leave_of_the_dead_is_believed_from_either_side(pool):
    serf = pool.serf("theirs")
    agent = pool.agent("ours", join=serf.address)
    dead = [pool.serf("dead1", join=serf.address), pool.agent("dead2", join=serf.address)]
    pool.agree()
    for one in dead:
        one.kill()
    pool.agree(dead1=FAILED, dead2=FAILED)
    agent.ask("force-leave", "dead1")
    serf.ask("force-leave", "dead2")
    pool.agree(dead1=LEFT, dead2=LEFT)


def test_a_second_serf_with_our_name_ends_and_we_stay(pool):
    serf = pool.serf("theirs")
    agent = pool.agent("ours", join=serf.address)
    pool.agent("more", join=serf.address)
    pool.agree()
    second = pool.serf("second", words=["-node=ours"], join=serf.address)
    second.process.wait(patient(60))
    assert agent.runs()
    pool.agree()
    assert agent.members()["ours"]["Addr"] == agent.ip


def must_end(pool, second):
    assert second.process.wait(patient(60)) == 1
    assert "belongs to" in second.said()
    pool.made.remove(second)


def test_a_second_one_of_ours_with_the_name_of_a_serf_ends_and_serf_stays(pool):
    serf = pool.serf("theirs")
    agent = pool.agent("ours", join=serf.address)
    pool.serf("more", join=serf.address)
    pool.agree()
    second = pool.agent("second", words=["-node=theirs"], join=agent.address)
    agent.says("uses the name of")
    must_end(pool, second)
    assert serf.runs()
    pool.agree()
    assert agent.members()["theirs"]["Addr"] == serf.ip
    assert serf.members()["theirs"]["addr"] == serf.address


def test_a_second_one_of_ours_with_our_name_ends_and_the_first_stays(pool):
    serf = pool.serf("theirs")
    agent = pool.agent("ours", join=serf.address)
    pool.agent("more", join=serf.address)
    pool.agree()
    second = pool.agent("second", words=["-node=ours"], join=serf.address)
    must_end(pool, second)
    assert agent.runs()
    pool.agree()
    assert serf.members()["ours"]["addr"] == agent.address
