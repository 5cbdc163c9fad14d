"""What a proxy's word of the primary outlasts: nodes that have nothing to do with it, and with `store_loss = "hold"` the store.
Times are those of a ttl of 3 s, so these are part of `make pg-matrix` only."""
import contextlib
import http.client
import json
import os
import re
import time

import pytest

import pg_pool
from pg_pool import SERVERS, TTL_S, Pool, until
from pg_trial import Trial
from test_pg_matrix import etcd_leader, etcd_move_leader

CALM_S = 20  # so that every server asks the etcd beside it again (agent/engine/etcd_endpoints.h)
pytestmark = [pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not()),
              pytest.mark.skipif(not os.environ.get("PG_MATRIX"), reason="make pg-matrix runs these")]


@contextlib.contextmanager
def made(proxy="", **options):
    pool = Pool(**options)
    pool.proxy_pool = proxy
    try:
        pool.start()
        yield pool
    except BaseException:
        print(pool.describe())
        raise
    finally:
        pool.end()


@pytest.fixture(scope="module")
def pool():
    with made() as started:
        yield started


def figures(pool):
    """What the proxy counts."""
    connection = http.client.HTTPConnection("127.0.0.1", 8800, timeout=10)
    with pool["c"].inside():
        connection.connect()
    try:
        connection.request("GET", "/upstreams")
        return json.loads(connection.getresponse().read())["pools"][0]["postgres"]
    finally:
        connection.close()


def oldest_view(pool, seconds):
    """How old the proxy's view ever was meanwhile, in ms."""
    end, oldest = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        oldest = max(oldest, figures(pool)["view_age_ms"])
        time.sleep(0.02)
    return oldest


def asked_server(pool):
    """Whom the agent beside the proxy asks."""
    return re.findall(r"requests for servers go to (\w+)", pool["c"].log("agent", 10**7))[-1]


def lose(trial, name):
    """Nobody is cut while that node goes, and for a while after."""
    pool, before = trial.pool, figures(trial.pool)
    trial.fault(lambda: pool.kill_node(name))
    print(f"the view was at most {oldest_view(pool, 2 * TTL_S)} ms old")
    after = figures(pool)
    assert {what: after[what] - before[what] for what in ("cut_view", "cut_term")} == {"cut_view": 0, "cut_term": 0}
    trial.goes_on()
    trial.same_primary()
    pool.start_node(name)


def test_the_loss_of_the_standbys_node_cuts_no_session(pool):
    with Trial(pool, "view, standby") as trial:
        lose(trial, trial.standby.name)


@pytest.mark.parametrize("round_", range(3))
def test_the_loss_of_the_server_that_the_proxys_agent_asks_cuts_no_session(pool, round_):
    time.sleep(CALM_S)
    with Trial(pool, f"view, server {round_ + 1}") as trial:
        name = asked_server(pool)
        until(lambda: etcd_leader(pool), "etcd has a leader")
        etcd_move_leader(pool, next(other for other in SERVERS if other != name))
        lose(trial, name)


def test_row_18_with_hold_sessions_that_stay_write_on_without_the_store():
    with made("view_loss keep", store_loss="hold") as pool, Trial(pool, "18, hold") as trial:
        before = figures(pool)
        trial.fault(lambda: [pool.kill_node(name) for name in SERVERS])
        until(lambda: figures(pool)["view"] == "lost", "the proxy's view is too old")
        time.sleep(2 * TTL_S)
        for _ in range(3):
            trial.goes_on()
        after = figures(pool)
        assert after["view"] == "lost"
        assert after["cut_view"] == before["cut_view"] and after["opened"] == before["opened"]
        for name in SERVERS:
            pool.start_node(name)
        until(lambda: figures(pool)["view"] == "current", "the proxy hears of the primary again")
        trial.goes_on()
