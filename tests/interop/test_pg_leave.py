"""The agent of a primary ends: restarted it finds its PostgreSQL as it was, leaving it hands over first."""
import os
import signal
import time

import pytest

import pg_pool
from pg_pool import Pool, until
from pg_trial import Trial

pytestmark = pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not())


@pytest.fixture(scope="module")
def pool():
    made = Pool()
    try:
        yield made.start()
    finally:
        made.end()


def end_agent(host, seconds=30):
    """SIGTERM, as systemd does; until it has ended."""
    host.programs["agent"].send_signal(signal.SIGTERM)
    host.programs["agent"].wait(seconds)


def back(host):
    """Starts the agent of a primary; until its keeper goes on with the lease."""
    seen = len(host.log("agent", 10**7))
    host.pool.start_agent(host.name)
    until(lambda: "holds the lease" in host.log("agent", 10**7)[seen:], "its keeper is back")
    time.sleep(1)


def leave(host, *words):
    return host.run(host.pool.folder / "rollcall", "leave", *words, check=False)


def test_an_agent_that_is_away_for_longer_than_the_lease_does_not_bounce_its_primary(pool):
    with Trial(pool, "upgrade") as trial:
        postmaster = trial.postmaster()
        trial.fault(lambda: end_agent(trial.primary))
        time.sleep(3 * pg_pool.TTL_S)
        back(trial.primary)
        trial.goes_on()
        trial.same_primary()
        assert trial.postmaster() == postmaster
        end_agent(trial.primary)  # and again, while it has the long time of before
        back(trial.primary)
        trial.goes_on()
        trial.same_primary()
        if os.environ.get("PG_MATRIX"):  # back to the short time, or a lost node would cost half a minute from now on
            until(lambda: '"3000ms"' in pool["s1"].call("GET", "/v1/session/list")[1] and "30000ms" not in
                  pool["s1"].call("GET", "/v1/session/list")[1], "the session lives for its usual time again")
            trial.same_primary()


def test_a_primary_whose_agent_leaves_hands_over_first(pool):
    with Trial(pool, "leave") as trial:
        primary = trial.primary
        done = trial.fault(lambda: leave(primary))
        assert done.returncode == 0, done.stderr
        primary.programs["agent"].wait(30)
        trial.taken_over()
        assert pool.view()["Primary"]["Node"] == trial.standby.name
        assert primary.postgres() == [], "its PostgreSQL stays down"
        pool.start_agent(primary.name)
    assert trial.gap_s < 20


def test_a_machine_that_goes_down_hands_its_primary_over(pool):
    """systemctl, when it is asked, says that the machine is being stopped."""
    with Trial(pool, "shutdown") as trial:
        primary = trial.primary
        fake = pool.folder / "bin"
        fake.mkdir(exist_ok=True)
        (fake / "systemctl").write_text("#!/bin/sh\necho stopping\nexit 1\n")
        (fake / "systemctl").chmod(0o755)
        end_agent(primary)
        primary.start("agent", pool.folder / "rollcall", "agent", "-config-file", primary.folder / "agent.json",
                      environment={"PATH": f"{fake}:{os.environ['PATH']}"})
        until(lambda: "holds the lease" in primary.log("agent", 2000), "its keeper is back")
        time.sleep(1)
        trial.fault(lambda: end_agent(primary))
        trial.taken_over()
        assert primary.postgres() == []
        pool.start_agent(primary.name)


def test_to_leave_is_refused_while_nobody_could_take_over(pool):
    pool.mend()
    primary, standby = pool.primary(), pool.standbys()[0]
    pool.kill_node(standby.name)
    try:
        until(lambda: pool.view(primary.name)["Sync"]["Quorum"] < 0, "it goes on alone")
        done = leave(primary)
        assert done.returncode != 0 and "nobody could take over without loss" in done.stderr, done
        assert primary.agent() and pool.primary() is primary
        assert leave(primary, "-force").returncode == 0
        primary.programs["agent"].wait(30)
        assert primary.postgres() == []
        assert pool.view()["State"]["Clean"] is True
    finally:
        pool.start_node(standby.name)
        pool.start_agent(primary.name)
    pool.mend()
