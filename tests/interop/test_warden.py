"""The warden beside a real PostgreSQL: nothing of it outlives its time, nor its warden."""
import contextlib
import os
import signal
import subprocess
import time

import pytest

from patience import patient
import pg_house


@pytest.fixture
def cluster():
    if pg_house.why_not():
        pytest.skip(pg_house.why_not())
    with pg_house.new_folder() as folder:
        made = pg_house.Cluster(folder)
        yield made
        made.end()


@pytest.fixture
def warden(cluster):
    made = pg_house.Warden(cluster.folder)
    yield made
    made.end()


def busy(cluster):
    """A session that writes for long."""
    process = subprocess.Popen(
        ["psql", "-h", "127.0.0.1", "-p", str(cluster.port), "-U", "postgres", "-c",
         "CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 50000000) g", "postgres"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pg_house.until(lambda: cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE t%'"
                                       " AND pid <> pg_backend_pid()") == "1")
    return process


def test_what_it_starts_is_a_standby(cluster, warden):
    said = warden.start(cluster)
    assert cluster.sql("SELECT pg_is_in_recovery()") == "t"
    assert said["runs"] == 1 and said["pid"] == cluster.postmaster()

    stopped = warden.order("stop_fast")
    assert stopped["answer"] == 0
    assert warden.wait(state="idle")["cause"] == "stopped"
    assert cluster.processes() == []


def test_no_backend_outlives_a_killed_postmaster(cluster, warden):
    warden.primary(cluster)
    client = busy(cluster)
    os.kill(cluster.postmaster(), signal.SIGKILL)
    begun = time.monotonic()
    pg_house.until(lambda: cluster.processes() == [], every=0.005)
    took = time.monotonic() - begun
    client.communicate()
    print("nothing was left after %.0f ms" % (took * 1000))
    said = warden.wait(state="idle")
    assert said["cause"] == "itself" and said["exit"] == signal.SIGKILL + 1
    assert client.returncode != 0
    assert (cluster.data / "standby.signal").exists()


def test_the_deadline_kills_a_primary_that_is_in_the_middle_of_work(cluster, warden):
    warden.primary(cluster)
    client = busy(cluster)
    due = pg_house.boot_ms(1.0)
    assert warden.order("deadline", term=7, deadline=due)["answer"] == 0
    pg_house.until(lambda: cluster.processes() == [], every=0.005)
    late = pg_house.boot_ms() - due
    client.communicate()
    print("nothing was left %d ms after the deadline" % late)
    said = warden.wait(state="idle")
    assert said["cause"] == "deadline" and said["kills"] == 1 and late > 0


def test_a_deadline_that_is_moved_on_kills_nobody(cluster, warden):
    warden.primary(cluster)
    for _ in range(18):
        warden.order("deadline", term=7, deadline=pg_house.boot_ms(4))
        time.sleep(0.25)
    assert warden.order("deadline", term=6, deadline=pg_house.boot_ms(60))["answer"] == 3
    assert cluster.answers()
    warden.order("no_deadline", term=8)
    time.sleep(2)
    assert cluster.answers()


def test_postgres_lives_on_without_a_keeper_and_the_next_one_is_told(cluster, warden):
    warden.start(cluster)
    warden.order("keep", term=42, session="11111111-2222-3333-4444-555555555555")
    warden.socket.close()
    warden.socket = None
    time.sleep(0.5)
    warden.connect()
    said = warden.echo()
    assert said["state"] == "running" and said["kept_term"] == 42 and said["session"].startswith("1111")
    assert cluster.answers()


def test_a_deadline_holds_without_a_keeper(cluster, warden):
    warden.primary(cluster)
    warden.order("deadline", term=1, deadline=pg_house.boot_ms(0.5))
    warden.socket.close()
    warden.socket = None
    pg_house.until(lambda: cluster.processes() == [], limit=5)
    warden.connect()
    assert warden.wait(state="idle")["cause"] == "deadline"


def test_postgres_dies_with_its_warden(cluster, warden):
    warden.primary(cluster)
    warden.process.kill()
    pg_house.until(lambda: cluster.processes() == [])


def test_a_stopped_postmaster_dies_too(cluster, warden):
    warden.primary(cluster)
    for pid in cluster.processes():
        with contextlib.suppress(ProcessLookupError):  # a helper that was about to end
            os.kill(pid, signal.SIGSTOP)
    warden.order("kill")
    assert warden.wait(state="idle")["cause"] == "killed"
    assert cluster.processes() == []


def test_one_that_somebody_else_started_is_adopted(cluster, warden):
    pg_house.run_as_owner(pg_house.BIN / "pg_ctl", "-D", cluster.data, "-w", "-l", cluster.folder / "data" / "log",
                          "-o", " ".join(cluster.arguments()[3:]), "start")
    pid = cluster.postmaster()
    said = warden.order("adopt", pid=pid, data=cluster.data)
    assert said["state"] == "running" and said["adopted"] == 1 and said["pid"] == pid
    client = busy(cluster)
    warden.order("deadline", term=3, deadline=pg_house.boot_ms(0.5))
    pg_house.until(lambda: cluster.processes() == [], limit=5)
    client.communicate()
    assert warden.wait(state="idle")["cause"] == "deadline"


def test_what_is_under_repair_is_not_started(cluster, warden):
    (cluster.folder / "w.repair").write_text("rewind")
    said = warden.order("start", data=cluster.data, words=cluster.arguments())
    assert said["state"] == "idle" and said["answer"] == 6 and "under repair" in said["problem"]


def test_a_lock_that_names_a_dead_process_which_nobody_collects_is_no_obstacle(cluster, warden):
    """As in a container whose first process does not wait for orphans."""
    warden.start(cluster)
    warden.order("kill")
    warden.wait(state="idle")
    dead = subprocess.Popen(["true"], user="postgres", group="postgres", extra_groups=[])
    pg_house.until(lambda: not pg_house.alive(dead.pid))
    for lock in (cluster.data / "postmaster.pid", cluster.data / f".s.PGSQL.{cluster.port}.lock"):
        lock.write_text("\n".join([str(dead.pid), *lock.read_text().split("\n")[1:]]))
    assert warden.start(cluster)["pid"] == cluster.postmaster()
    dead.wait(patient(10))


def test_a_second_warden_is_refused(cluster, warden):
    second = subprocess.run([pg_house.serf_pool.ROLLCALL, "warden", "-socket=%s" % warden.path],
                            capture_output=True, text=True, timeout=patient(20))
    assert second.returncode == 1 and "another warden" in second.stderr
    warden.start(cluster)


def test_told_to_end_it_stops_postgres_first(cluster, warden):
    warden.start(cluster)
    warden.process.terminate()
    assert warden.process.wait(timeout=pg_house.LONG) == 0
    assert cluster.processes() == []
    assert "shut down in recovery" in pg_house.run_as_owner(pg_house.BIN / "pg_controldata", cluster.data)


def test_a_watchdog_device_is_held_while_there_is_a_deadline(cluster):
    device = cluster.folder / "watchdog"
    device.write_text("")
    warden = pg_house.Warden(cluster.folder, "-watchdog=%s" % device)
    try:
        warden.primary(cluster)
        time.sleep(0.3)
        assert device.read_text() == ""
        warden.order("deadline", term=1, deadline=pg_house.boot_ms(60))
        pg_house.until(lambda: device.read_text().startswith("1"))
        warden.order("no_deadline", term=1)
        pg_house.until(lambda: device.read_text().endswith("V"))
    finally:
        warden.end()
