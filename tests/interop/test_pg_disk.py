"""Rows of the fault matrix about disks: full, read-only, broken, silent. They are part of `make pg-matrix` only."""
import contextlib
import os
import signal
import subprocess
import threading
import time

import pytest

import pg_pool
from pg_pool import TTL_S, Pool, until
from pg_trial import Trial

pytestmark = [pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not()),
              pytest.mark.skipif(not os.environ.get("PG_MATRIX"), reason="make pg-matrix runs these")]


def run(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, timeout=60, **options)


class Disk:
    """A file system of `megabytes` in a folder of pg1's: `tmpfs`, or ext4 on a file, which can hang and break."""

    def __init__(self, place, megabytes, kind, owner):
        self.place, self.kind, self.device = place, kind, ""
        place.mkdir(parents=True, exist_ok=True)
        if kind == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", place)
        else:
            file = place.with_name(place.name + ".img")
            run("truncate", "-s", f"{megabytes}M", file)
            run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", file)
            run("mount", "-o", "loop,errors=remount-ro", file, place)
            self.device = os.path.basename(run("findmnt", "-n", "-o", "SOURCE", place).stdout.strip())
            with contextlib.suppress(OSError):
                (place / "lost+found").rmdir()
        pg_pool.shutil.chown(place, owner, owner)
        place.chmod(0o700)

    def fill(self):
        subprocess.run(["dd", "if=/dev/zero", f"of={self.place / 'filler'}", "bs=64k"], capture_output=True, check=False, timeout=60)

    def drain(self):
        (self.place / "filler").unlink(missing_ok=True)

    @contextlib.contextmanager
    def hanging(self, longest_s=60):
        """Nothing is written, and who tries waits, not to be killed; in `longest_s` at the most it goes on."""
        late = subprocess.Popen(["sh", "-c", f"sleep {longest_s}; fsfreeze -u {self.place}"], stderr=subprocess.DEVNULL, start_new_session=True)
        run("fsfreeze", "-f", self.place)
        try:
            yield
        finally:
            os.killpg(late.pid, signal.SIGKILL)
            late.wait()
            run("fsfreeze", "-u", self.place)

    def become_read_only(self):
        """As ext4 does when it finds itself damaged."""
        with open(f"/sys/fs/ext4/{self.device}/trigger_fs_error", "w") as trigger:
            trigger.write("rollcall")
        until(lambda: not self.takes_files(), "it is read-only")

    def repair(self):
        """A copy of it is mounted: who looks at all mounts of the machine may keep the broken one alive, and it would be used again."""
        broken = self.place.with_name(self.place.name + ".img")
        file = self.place.with_name(self.place.name + "-repaired.img")
        run("umount", self.place)
        run("cp", "--sparse=always", broken, file)
        subprocess.run(["fsck.ext4", "-y", str(file)], check=False, capture_output=True, timeout=60)
        run("mount", "-o", "loop,errors=remount-ro", file, self.place)
        assert self.takes_files()

    def takes_files(self):
        try:
            (self.place / "probe").touch()
            (self.place / "probe").unlink()
        except OSError:
            return False
        return True

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.place)], check=False, capture_output=True)


@contextlib.contextmanager
def small(mode="sync", megabytes=400, kind="tmpfs", what="postgres"):
    """(pool, disk): pg1, the primary, has one disk of its own."""
    pool, disk = Pool(mode=mode), None
    try:
        owner = "postgres" if what == "postgres" else "root"
        disk = Disk(pool["pg1"].folder / what, megabytes, kind, owner)
        pool.start()
        if pool.primary().name != "pg1":
            pool.pg("switchover", "-to", "pg1")
            until(lambda: pool.primary().name == "pg1", "pg1 is primary")
        yield pool, disk
    except BaseException:
        print(pool.describe())
        raise
    finally:
        pool.end()
        if disk is not None:
            disk.unmount()
        pg_pool.shutil.rmtree(pool.folder, ignore_errors=True)


def grow_tables(host):
    return host.run("psql", "-XAtq", f"host={host.address} user=postgres dbname=postgres", "-c",
                    "CREATE TABLE full_disk AS SELECT repeat('x', 1000) FROM generate_series(1, 1000000)", check=False)


def keep_wal(host):
    host.sql("ALTER SYSTEM SET wal_keep_size = '100GB'")
    host.sql("SELECT pg_reload_conf()")


def grow_wal(host):
    """WAL that is kept, and nothing else, until there is no room: PostgreSQL ends in a PANIC."""
    return host.run("psql", "-XAtq", f"host={host.address} user=postgres dbname=postgres", "-c",
                    "DO $$ BEGIN FOR i IN 1..2000 LOOP PERFORM pg_logical_emit_message(false, 'x', repeat('x', 1000000)); END LOOP; END $$",
                    check=False)


def beside(act, *words):
    thread = threading.Thread(target=act, args=words)
    thread.start()
    return thread


def said(host, words):
    """How often, in PostgreSQL's log."""
    return sum(path.read_text(errors="replace").count(words) for path in host.folder.rglob("*.log") if path.is_file())


def starts(host):
    return said(host, "starting PostgreSQL")


def has_panicked(host):
    return said(host, "PANIC:") > 0


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_row_31_a_full_disk_moves_the_primary(mode):
    with small(mode) as (pool, disk), Trial(pool, f"31 full, {mode}", may_lose=mode == "async") as trial:
        trial.fault(disk.fill)
        fills = beside(grow_tables, trial.primary)
        trial.taken_over()
        fills.join(60)
        disk.drain()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_row_31_no_room_for_wal_moves_the_primary_and_starts_nothing_again_and_again(mode):
    with small(mode) as (pool, disk), Trial(pool, f"31 WAL, {mode}", may_lose=mode == "async") as trial:
        keep_wal(trial.primary)
        trial.fault(disk.fill)
        fills = beside(grow_wal, trial.primary)
        trial.taken_over()
        fills.join(60)
        assert has_panicked(trial.primary)
        before = starts(trial.primary)
        time.sleep(15)
        again = starts(trial.primary) - before
        print(f"PostgreSQL was started {again} times in 15 s beside a full disk")
        assert again <= 6
        disk.drain()
        trial.primary.run("sh", "-c", f"rm -f {trial.primary.folder}/postgres/main/pg_wal/xlogtemp.*")


def test_row_31_a_disk_that_does_not_answer_moves_the_primary():
    with small(kind="ext4", megabytes=600) as (pool, disk), Trial(pool, "31 silent") as trial:
        with disk.hanging():
            trial.fault()
            trial.taken_over()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_row_31_a_file_system_that_has_become_read_only_moves_the_primary(mode):
    with small(mode, kind="ext4", megabytes=600) as (pool, disk), Trial(pool, f"31 read-only, {mode}", may_lose=mode == "async") as trial:
        trial.fault(disk.become_read_only)
        trial.taken_over()
        before = starts(trial.primary)
        time.sleep(10)
        assert starts(trial.primary) - before <= 5
        pool.kill_node("pg1")
        disk.repair()
        pool.start_node("pg1")


def test_row_31_alone_with_a_full_disk_it_stays_and_says_so():
    with small() as (pool, disk), Trial(pool, "31 alone") as trial:
        pool.kill_node(trial.standby.name)
        until(lambda: pool.view()["Sync"]["Names"] == [], "the primary goes on alone")
        trial.fault(disk.fill)
        fills = beside(grow_tables, trial.primary)
        until(lambda: "cannot write" in next(m for m in pool.view()["Members"] if m["Node"] == "pg1")["Problem"], "it is told")
        assert "nobody can take over" in pool.pg("status").stdout
        time.sleep(TTL_S)
        trial.same_primary()
        fills.join(60)
        disk.drain()
        trial.goes_on()
        until(lambda: next(m for m in pool.view()["Members"] if m["Node"] == "pg1")["Problem"] == "", "it is well")
        trial.same_primary()
        pool.start_node(trial.standby.name)


def test_row_31_alone_without_room_for_wal_it_comes_back_when_there_is_some():
    with small() as (pool, disk), Trial(pool, "31 alone, WAL") as trial:
        pool.kill_node(trial.standby.name)
        until(lambda: pool.view()["Sync"]["Names"] == [], "the primary goes on alone")
        keep_wal(trial.primary)
        trial.fault(disk.fill)
        beside(grow_wal, trial.primary).join(90)
        assert has_panicked(trial.primary)
        before = starts(trial.primary)
        time.sleep(20)
        again = starts(trial.primary) - before
        print(f"PostgreSQL was started {again} times in 20 s beside a full disk")
        assert again <= 8
        disk.drain()
        trial.goes_on()
        assert pool.primary() is trial.primary
        pool.start_node(trial.standby.name)


def test_row_31_no_room_for_the_agents_own_files_moves_nothing():
    with small(what="data", megabytes=16) as (pool, disk), Trial(pool, "31 agent") as trial:
        trial.fault(disk.fill)
        time.sleep(2 * TTL_S)
        trial.goes_on()
        trial.same_primary()
        pg_pool.send(trial.primary.agent(), signal.SIGKILL)
        pool.start_agent("pg1")
        time.sleep(2 * TTL_S)
        trial.goes_on()
        trial.same_primary()
        disk.drain()
