"""Rows of the fault matrix that want another cluster than two nodes in mode sync: three nodes, mode async, a
thousand clients. They are part of `make pg-matrix` only."""
import os
import resource
import signal
import subprocess
import time

import pytest

from patience import patient
import pg_pool
from pg_pool import PROXY_PORT, SERVERS, TTL_S, Pool, until
from pg_trial import Trial, stopped

pytestmark = [pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not()),
              pytest.mark.skipif(not os.environ.get("PG_MATRIX"), reason="make pg-matrix runs these")]


def made(**options):
    pool = Pool(**options)
    try:
        return pool.start()
    except BaseException:
        print(pool.describe())
        pool.end()
        raise


@pytest.fixture(scope="module")
def three():
    pool = made(nodes=3)
    yield pool
    pool.end()


@pytest.fixture(scope="module")
def loose():
    pool = made(mode="async")
    yield pool
    pool.end()


def test_row_33_nobody_is_promoted_who_may_lack_what_was_acknowledged(three):
    """Any one of two confirms: without the primary and one of them the third may lack rows, and its word is not enough."""
    with Trial(three, "33") as trial:
        gone, left = three.standbys()
        trial.fault()
        for name in (trial.primary.name, gone.name):
            three.kill_node(name)
        time.sleep(2 * TTL_S + 2)
        view = three.view()
        assert view["Primary"] is None, view
        refused = three.pg("failover", "-to", left.name, check=False)
        print(refused.stderr)
        three.start_node(gone.name)
        trial.goes_on()
        three.start_node(trial.primary.name)


def test_row_33_an_operator_may_accept_the_loss(three):
    with Trial(three, "33b", may_lose=True) as trial:
        gone, left = three.standbys()
        trial.fault()
        for name in (trial.primary.name, gone.name):
            three.kill_node(name)
        until(lambda: three.view()["Primary"] is None, "the lease is over")
        three.pg("failover", "-to", left.name, "-accept-loss")
        trial.taken_over(left)
        for name in (trial.primary.name, gone.name):
            three.start_node(name)


def test_three_nodes_lose_one_after_the_other(three):
    with Trial(three, "6 of three") as trial:
        trial.fault(lambda: three.kill_node(trial.primary.name))
        trial.goes_on()
        three.start_node(trial.primary.name)


def test_in_mode_async_a_crash_is_mended_in_place_but_not_again_and_again(loose):
    with Trial(loose, "restart_attempts", may_lose=True) as trial:
        trial.fault(lambda: os.kill(trial.postmaster(), signal.SIGKILL))
        until(lambda: loose.view()["Term"] > trial.term and loose.primary() is trial.primary, "it is started again in place")
        trial.goes_on()
        assert len([1 for entry in loose.view()["History"] if entry["Term"] > trial.term]) == 1
        print(f"back after {time.monotonic() - trial.fault_at:.1f} s")
        until(loose.healthy, "its standby is back too")
        second = time.monotonic()
        os.kill(trial.postmaster(), signal.SIGKILL)
        trial.taken_over()
        print(f"taken over after {time.monotonic() - second:.1f} s")


def memory_kb(pid, what="VmRSS"):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith(what))


@pytest.mark.parametrize("way", ["stop", "lost", "thaw"])
def test_async_loses_at_most_what_was_under_way(loose, way):
    with Trial(loose, f"async {way}", may_lose=way != "stop") as trial:
        if way == "stop":
            trial.fault(lambda: trial.primary.run("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups",
                                                  pg_pool.binaries() / "pg_ctl", "-D", trial.primary.folder / "postgres" / "main",
                                                  "stop", "-m", "fast", "-w", cwd="/"))
            trial.taken_over()
        elif way == "lost":
            trial.fault(lambda: loose.kill_node(trial.primary.name))
            trial.taken_over()
            loose.start_node(trial.primary.name)
        else:
            with stopped(trial.primary.processes()):
                trial.fault()
                trial.taken_over()
                time.sleep(5)
            time.sleep(2)
    print(f"async, {way}: {len(trial.lost)} rows lost")
    early = [ack for ack in trial.lost if ack[0] < trial.fault_at - 5]
    assert early == [], "what was long with the standby is lost"
    assert len(trial.lost) < 1000
    if trial.lost:  # and what went on alone is told of, and kept beside
        assert "its WAL went on" in trial.primary.log("agent", 10**6)


def admit(pool, count):
    """So many sessions on each; on standbys first, for they cannot replay what a primary with more than theirs wrote."""
    for host in [*pool.standbys(), pool.primary()]:
        host.sql(f"ALTER SYSTEM SET max_connections = {count}")
        pool.pg("restart", host.name)
        until(lambda: host.sql("SHOW max_connections") == str(count), f"{host.name} admits {count}")
        pool.mend()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_row_37_a_thousand_clients_are_held_and_served(mode):
    """They come while there is no primary; when there is one again all are served, in the order in which they came."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    pool = made(mode=mode)
    try:
        admit(pool, 1200)
        hold_a_thousand(pool, mode)
    finally:
        pool.end()


def hold_a_thousand(pool, mode):
    with Trial(pool, f"37 {mode}", may_lose=mode == "async") as trial:
        assert pool.primary() is trial.primary, "a restart of before has not ended"
        before = memory_kb(pool["c"].pid("proxy"))
        trial.fault(lambda: pool.kill_node(trial.primary.name))
        crowd = subprocess.Popen([*pool["c"].enter, "/usr/bin/python3", "-B", pg_pool.HERE / "pg_crowd.py", str(PROXY_PORT), "1000", str(patient(100))],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        trial.taken_over()
        out, err = crowd.communicate(timeout=patient(120))
        most = memory_kb(pool["c"].pid("proxy"), "VmHWM")
        refused = [line for line in out.splitlines() if " - " in line]
        served = sorted((float(line.split()[1]), int(line.split()[0])) for line in out.splitlines() if " - " not in line)
        assert len(served) == 1000, (len(served), refused[:3], err[:500])
        quarters = [sum(place for _, place in served[i:i + 250]) / 250 for i in range(0, 1000, 250)]
        print(f"1000 were served, the first {served[0][0] - trial.fault_at:.1f} s after the fault, the last {served[-1][0] - trial.fault_at:.1f} s; "
              f"the quarters that were served came on average as {', '.join(f'{place:.0f}' for place in quarters)}; "
              f"the proxy took {most - before} kB for them")
        assert quarters == sorted(quarters) and quarters[0] < 250 and quarters[3] > 750
        assert most - before < 100 * 1024
        pool.start_node(trial.primary.name)


@pytest.fixture(scope="module")
def holding():
    pool = made(store_loss="hold")
    yield pool
    pool.end()


def write_past_the_proxy(pool, host, name):
    """The proxy shows no primary without the store; the primary itself may be written."""
    out = pool.folder / name
    pool["c"].start(name, "/usr/bin/python3", "-B", pg_pool.HERE / "pg_writer.py",
                    f"host={host.address} user=postgres dbname=postgres connect_timeout=2", out, 1, 5, 60)
    until(lambda: len(pg_pool.Record(out).acks) > 20, "rows are written past the proxy")
    return out


def end_writing(pool, name, out):
    pool["c"].programs[name].terminate()
    pool["c"].programs[name].wait(90)
    return pg_pool.Record(out)


def gaps_of(record, since):
    times = sorted(ack[0] for ack in record.acks if ack[0] > since)
    return [b - a for a, b in zip(times, times[1:])]


def test_row_18_with_hold_writes_go_on_without_any_server(holding):
    pool = holding
    with Trial(pool, "18 hold") as trial:
        out = write_past_the_proxy(pool, trial.primary, "held-1")
        trial.fault()
        for name in SERVERS:
            pool.kill_node(name)
        time.sleep(20)
        now = time.monotonic()
        assert [ack for ack in pg_pool.Record(out).acks if ack[0] > now - 2], "writes do not go on"
        for name in SERVERS:
            pool.start_node(name)
        until(pool.healthy, "the cluster is whole again")
        trial.goes_on()
        record = end_writing(pool, "held-1", out)
        print(f"past the proxy no row was written for {1000 * max(gaps_of(record, trial.fault_at)):.0f} ms at most")
        assert max(gaps_of(record, trial.fault_at)) < 3
        trial.same_primary()
        assert record.lost(set(map(int, trial.primary.sql("SELECT id FROM ledger", timeout=60).split()))) == []


def test_row_14_with_hold_nobody_takes_over_while_its_promise_lasts(holding):
    pool = holding
    with Trial(pool, "14 hold") as trial:
        out = write_past_the_proxy(pool, trial.primary, "held-2")
        trial.fault(lambda: pool.isolate(trial.primary.name, SERVERS))
        time.sleep(4 * TTL_S)
        now = time.monotonic()
        assert [ack for ack in pg_pool.Record(out).acks if ack[0] > now - 2], "writes do not go on"
        assert pool.view(through="s1")["Primary"] is None
        second = time.monotonic()
        pool.isolate(trial.primary.name, [trial.standby.name])
        trial.taken_over()
        record = end_writing(pool, "held-2", out)
        last = max(ack[0] for ack in record.acks if ack[2] == trial.primary.address)
        first = min(ack[0] for ack in trial.writer.record().acks if ack[2] == trial.standby.address and ack[0] > trial.fault_at)
        print(f"the old one's last row {1000 * (last - second):.0f} ms after it was alone, the new one's first after {1000 * (first - second):.0f} ms")
        assert last < first
        assert record.lost(set(map(int, trial.standby.sql("SELECT id FROM ledger", timeout=60).split()))) == []


def test_row_20_a_longer_lease_outlives_a_slow_store():
    pool = made(ttl="10s", renew="1s")
    try:
        with Trial(pool, "20 with ttl 10") as trial:
            etcds = [pid for name in SERVERS for pid in pool[name].processes(lambda comm, _: comm == "etcd")]
            trial.fault()
            for _ in range(12):
                with stopped(etcds):
                    time.sleep(2)
                time.sleep(0.5)
            trial.goes_on()
            trial.same_primary()
    finally:
        pool.end()
