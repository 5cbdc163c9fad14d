"""Row 21 of the fault matrix: the clocks of the primary's agent and warden jump, and run too fast and too slow. It is part of
`make pg-matrix` only."""
import os
import time

import pytest

import pg_pool
from pg_clock import Clock
from pg_pool import BUILD, SERVERS, TTL_S, Pool, until
from pg_trial import Trial

CLOCKED = BUILD / "rollcall-clocked"
pytestmark = [pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not()),
              pytest.mark.skipif(not os.environ.get("PG_MATRIX"), reason="make pg-matrix runs these"),
              pytest.mark.skipif(not CLOCKED.exists(), reason="make pg-matrix builds rollcall-clocked")]


@pytest.fixture(scope="module")
def pool():
    made = Pool()
    try:
        made.clock = Clock(made["pg1"].folder / "program", CLOCKED)
        made.start()
    except BaseException:
        print(made.describe())
        made.end()
        raise
    yield made
    made.end()


@pytest.fixture
def pg1(pool):
    """It is primary."""
    pool.mend()
    if pool.primary().name != "pg1":
        pool.pg("switchover", "-to", "pg1")
    return until(lambda: pool.primary() if pool.primary().name == "pg1" and pool.healthy() else None, "pg1 is primary")


def test_row_21_a_clock_that_jumps_by_an_hour_moves_nothing(pool, pg1):
    with Trial(pool, "21 steps") as trial:
        trial.fault()
        for hour in (1, -1, 0):
            pool.clock.set_wall(3600 * hour)
            time.sleep(TTL_S + 1)
            trial.goes_on()
            trial.same_primary()


@pytest.mark.parametrize("percent", [5, -5])
def test_row_21_a_clock_that_runs_too_fast_or_too_slow_moves_nothing(pool, pg1, percent):
    pool.clock.run_at(percent)
    try:
        with Trial(pool, f"21 {percent:+d} %") as trial:
            before = pool.clock.ahead_s()
            trial.fault()
            time.sleep(4 * TTL_S)
            trial.goes_on()
            trial.same_primary()
            assert abs(pool.clock.ahead_s() - before) > 0.5
    finally:
        pool.clock.run_at(0)


@pytest.mark.parametrize("percent", [5, -5])
def test_row_21_by_such_a_clock_the_old_stops_before_the_new_begins(pool, pg1, percent):
    """Cut off from the store a slow clock gives its holder the most time: the margin has to hold it."""
    pool.clock.run_at(percent)
    try:
        with Trial(pool, f"21 {percent:+d} %, cut off") as trial:
            direct = pool.folder / f"direct{percent}"
            pool["c"].start("direct", "/usr/bin/python3", "-B", pg_pool.HERE / "pg_writer.py",
                            f"host={pg1.address} user=postgres dbname=postgres connect_timeout=2", direct, 1, 2, 5)
            until(lambda: len(pg_pool.Record(direct).acks) > 20, "rows are written past the proxy")
            trial.fault(lambda: pool.isolate("pg1", SERVERS))
            trial.taken_over()
            pool["c"].programs["direct"].terminate()
            pool["c"].programs["direct"].wait(20)
            past = pg_pool.Record(direct)
            first = next(ack[0] for ack in trial.writer.record().acks if ack[2] == trial.standby.address)
            last = max(ack[0] for ack in past.acks if ack[2] == pg1.address)
            print(f"the old one's last row was {1000 * (first - last):.0f} ms before the new one's first")
            assert last < first
    finally:
        pool.clock.run_at(0)
