"""A cluster that begins in mode strict: its first primary has nobody yet who could confirm."""
import os
import time

import pytest

import pg_pool
from pg_pool import TTL_S, Pool, until
from pg_trial import Trial

pytestmark = pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not())
SIZES = [2, 3] if os.environ.get("PG_MATRIX") else [2]


@pytest.mark.parametrize("nodes", SIZES)
def test_a_cluster_that_begins_strict_gets_a_primary_and_never_writes_alone(nodes):
    pool = Pool(nodes=nodes, mode="strict")
    try:
        begun = time.monotonic()
        pool.start()
        print(f"{nodes} nodes: whole after {time.monotonic() - begun:.1f} s")
        view = until(pool.healthy, "the cluster is whole")
        assert view["Mode"] == "strict"
        assert pool.primary().sql("SHOW synchronous_standby_names") != ""
        with Trial(pool, f"strict, {nodes} begin") as trial:
            trial.fault(lambda: [pool.kill_node(host.name) for host in pool.standbys()])
            time.sleep(0.5)
            quiet = time.monotonic()
            time.sleep(TTL_S)
            assert not [ack for ack in trial.writer.record().acks if ack[0] > quiet]
            for name in pool.keepers:
                if pool[name] is not trial.primary:
                    pool.start_node(name)
            trial.goes_on()
    except BaseException:
        print(pool.describe())
        raise
    finally:
        pool.end()
