"""A pair of servers that was there before: set up as Debian does it, streaming, in use. It is put under keepers by the steps of
rollcall(1), while its rows stay and its processes go on; then it fails over, and back."""
import os
import re
import signal
from pathlib import Path

import pytest

import pg_pool
from pg_pool import CLUSTER, SERVERS, Pool, binaries, until
from pg_writer import TABLE

pytestmark = pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not())

ROLES = """
CREATE ROLE rollcall LOGIN REPLICATION;
GRANT pg_monitor, pg_checkpoint TO rollcall;
GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO rollcall;
CREATE ROLE replicator LOGIN REPLICATION;
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
  pg_read_binary_file(text, bigint, bigint, boolean) TO replicator;
"""


class Pair(Pool):
    """The configuration stands in a folder of its own, as in /etc/postgresql/15/main."""

    def places(self, host):
        return host.folder / "etc", host.folder / "lib" / "main", host.folder / "run"

    def postgres_block(self, host):
        etc, data, run = self.places(host)
        return {"cluster": CLUSTER, "data_dir": str(data), "bin_dir": str(binaries()), "config_file": str(etc / "postgresql.conf"),
                "hba_file": str(etc / "pg_hba.conf"), "socket_dir": str(run), "address": host.address, **self.settings}

    def as_owner(self, host, *words):
        return host.run("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", *words, cwd="/")

    def write_configuration(self, host):
        etc, data, run = self.places(host)
        for place in (etc, etc / "conf.d", data.parent, run):
            place.mkdir()
        (etc / "postgresql.conf").write_text(f"""\
data_directory = '{data}'
hba_file = '{etc}/pg_hba.conf'
external_pid_file = '{run}/15-main.pid'
unix_socket_directories = '{run}'
listen_addresses = '{host.address}'
cluster_name = '15/main'
wal_log_hints = on
include_dir = 'conf.d'
""")
        (etc / "postgresql.conf").chmod(0o644)
        (etc / "conf.d" / "own.conf").write_text("work_mem = '7MB'\n")
        (etc / "pg_hba.conf").write_text("local all all trust\n" + "".join(f"host {what} all {pg_pool.NETWORK}.0/24 trust\n"
                                                                           for what in ("all", "replication")))
        host.run("chown", "-R", "postgres:postgres", etc, data.parent, run)

    def start_server(self, host):
        etc, data, _ = self.places(host)
        host.start("postgres", binaries() / "postgres", "-D", data, "-c", f"config_file={etc}/postgresql.conf", user="postgres")
        until(lambda: host.sql("SELECT 1") == "1", f"{host.name}'s server answers")

    def start_pair(self):
        first, second = (self[name] for name in self.keepers)
        for host in (first, second):
            self.write_configuration(host)
        data = self.places(first)[1]
        self.as_owner(first, binaries() / "initdb", "-A", "trust", "--no-sync", "-D", data)
        self.start_server(first)
        first.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        first.sql("CREATE TABLE before AS SELECT generate_series(1, 10000) AS i")
        self.as_owner(second, binaries() / "pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-h", first.address, "-D",
                      self.places(second)[1])
        self.start_server(second)
        until(lambda: second.sql("SELECT count(*) FROM before") == "10000", "the standby has the rows")

    def start(self):
        (self.folder / "rollcall").write_bytes((pg_pool.BUILD / "rollcall").read_bytes())
        (self.folder / "rollcall").chmod(0o755)
        for name in SERVERS:
            self.start_etcd(name)
        self.start_pair()
        for name in (*SERVERS, "c"):
            self.start_agent(name)
        return self

    def postmaster(self, host):
        return int((self.places(host)[1] / "postmaster.pid").read_text().split()[0])


@pytest.fixture(scope="module")
def pair():
    pool = Pair()
    try:
        yield pool.start()
    except BaseException:
        print(pool.describe())
        raise
    finally:
        pool.end()


def test_a_pair_that_was_there_is_put_under_keepers_and_loses_nothing(pair):
    first, second = (pair[name] for name in pair.keepers)
    pids = [pair.postmaster(first), pair.postmaster(second)]
    first.sql(ROLES)
    try:
        pair.start_agent(first.name)
        until(lambda: pair.primary() is first, "the primary is one of a term")
        pair.start_agent(second.name)
        until(pair.healthy, "the standby confirms")
    except BaseException:
        print(pair.describe())
        raise
    assert [pair.postmaster(first), pair.postmaster(second)] == pids, "taken over as they run"
    for host in (first, second):
        own = (pair.places(host)[1] / "postgresql.auto.conf").read_text()
        assert not re.search("^(primary_conninfo|synchronous_standby_names)", own, re.M), own
        assert (pair.places(host)[0] / "postgresql.conf").stat().st_mode & 0o777 == 0o644
    first.sql(TABLE)


def test_it_fails_over_and_back_with_its_own_configuration(pair):
    first, second = (pair[name] for name in pair.keepers)
    until(pair.healthy, "a cluster that is whole")
    pair.start_proxy()
    writer = pair.writer()
    writer.wait_for(20)
    os.kill(pair.postmaster(first), signal.SIGKILL)
    first.programs["postgres"].wait(60)  # a zombie would keep the lock file's number
    until(lambda: pair.primary() is second, "the other one takes over")
    until(pair.healthy, "the first follows")
    words = Path(f"/proc/{pair.postmaster(first)}/cmdline").read_bytes().decode().split("\0")
    assert f"config_file={pair.places(first)[0]}/postgresql.conf" in words
    assert first.sql("SHOW work_mem") == "7MB"
    pair.pg("switchover")
    until(lambda: pair.primary() is first and pair.healthy(), "and back")
    record = writer.end()
    assert record.acks and not record.lost(int(row) for row in first.sql("SELECT id FROM ledger").split())
    assert second.sql("SELECT count(*) FROM before") == "10000"
