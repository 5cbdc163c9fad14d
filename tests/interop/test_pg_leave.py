"""The agent of a primary ends: restarted it finds its PostgreSQL as it was, leaving it hands over first."""
import json
import os
import signal
import sys
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
        told = primary.folder / "bin" / "systemctl"
        told.parent.mkdir(exist_ok=True)
        told.write_text("#!/bin/sh\necho stopping\nexit 1\n")
        told.chmod(0o755)
        trial.fault(lambda: end_agent(primary))
        told.unlink()
        trial.taken_over()
        until(lambda: not primary.postgres(), "the old primary's PostgreSQL has ended")
        pool.start_agent(primary.name)


def test_a_reload_changes_what_can_change_and_refuses_the_rest(pool):
    host = pool.mend() and pool.standbys()[0]
    def reload(**settings):  # noqa: E306
        block = pool.postgres_block(host) | settings
        file = host.folder / "agent.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"postgres": block}))
        return host.run(pool.folder / "rollcall", "reload", check=False)
    def member():  # noqa: E306
        return next(m for m in pool.view()["Members"] if m["Node"] == host.name)
    assert reload(priority=7, no_failover=True).returncode == 0
    until(lambda: member()["Priority"] == 7 and member()["NoFailover"], "its keeper goes by the new settings")
    refused = reload(port=5433)
    assert refused.returncode != 0 and "postgres.port cannot change while the agent runs: restart it" in refused.stderr, refused
    assert reload().returncode == 0
    until(lambda: not member()["NoFailover"], "as it was")


def test_an_agent_that_is_cut_off_names_no_primary(pool):
    """First it says that it does not know, then that there is none; it never goes on with what it knew."""
    pool.mend()
    name, out = "primary.postgres.service.rollcall", pool.folder / "dns-cut"
    pool["c"].start("dns-cut", sys.executable, "-B", pg_pool.HERE / "pg_dns_watch.py", name, out)
    answers = lambda: [line.split()[1] for line in out.read_text().splitlines() if "asked" not in line]  # noqa: E731
    until(lambda: answers()[-1] == pool.primary().address, "it is named")
    pool.isolate("c", [other for other in pool.hosts if other != "c"])
    try:
        until(lambda: answers()[-1] in "?-", "it is named no longer", 30)
        time.sleep(2)
        assert answers()[-1] in "?-", answers()
        pool.heal()
        until(lambda: answers()[-1] == pool.primary().address, "it is named again")
        assert "?" in answers(), answers()
    finally:
        pool.heal()
        pool["c"].programs["dns-cut"].terminate()
        pool["c"].programs["dns-cut"].wait(10)


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
