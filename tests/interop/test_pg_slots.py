"""Whoever is promoted has the WAL that the others need: nobody is copied anew after a fail-over."""
import pytest

import pg_pool
from pg_pool import Pool, until

pytestmark = pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not())


@pytest.fixture(scope="module")
def pool():
    made = Pool(nodes=3)
    try:
        yield made.start()
    finally:
        made.end()


def slots(host):
    rows = host.sql("SELECT slot_name, restart_lsn - '0/0' FROM pg_replication_slots WHERE restart_lsn IS NOT NULL")
    return {name: int(position) for name, position in (row.split("|") for row in rows.split())}


def write(host, segments):
    for _ in range(segments):
        host.sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000)); SELECT pg_switch_wal()")


def test_the_third_follows_a_new_primary_though_much_wal_was_switched(pool):
    primary = pool.primary()
    heir, third = pool.standbys()
    write(primary, 3)
    until(lambda: {f"rc_{third.name}", f"rc_{primary.name}"} <= set(slots(heir)), "a standby has slots for the others")
    before = slots(heir)[f"rc_{third.name}"]
    write(primary, 4)
    primary.sql("CHECKPOINT")
    until(lambda: slots(heir)[f"rc_{third.name}"] > before, "they are moved on with what the others have replayed")
    directory = int(third.run("stat", "-c", "%i", third.folder / "postgres" / "main").stdout)

    third.run("psql", "-XAtq", f"host={third.address} user=postgres dbname=postgres", "-c", "SELECT pg_wal_replay_pause()")
    write(primary, 6)
    third.run("psql", "-XAtq", f"host={third.address} user=postgres dbname=postgres", "-c", "SELECT pg_wal_replay_resume()")
    pool.kill_node(primary.name)
    until(lambda: pool.primary() is not primary, "another is primary")
    left = heir if pool.primary() is third else third
    until(lambda: any(member["Node"] == left.name and member["Upstream"] == pool.primary().name and member["Streaming"]
                      for member in pool.view()["Members"]), "the third follows it")
    assert "copy from" not in left.log("agent", 10**6).split("keeper: init -> standby", 1)[1]
    if left is third:
        assert int(third.run("stat", "-c", "%i", third.folder / "postgres" / "main").stdout) == directory
    pool.start_node(primary.name)
    pool.mend()
