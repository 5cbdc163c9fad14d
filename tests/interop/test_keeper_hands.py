"""Two agents and their PostgreSQL on one loopback: made, cloned, taken over, rewound, copied anew."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

from patience import patient
import pg_house
import serf_pool

LONG = patient(60)
SERVER, NODES = "127.0.1.3", ("db1", "db2")
PORT = 25432


def hcl(value):
    return json.dumps(value)


class Keepers:
    """A server of the store and two nodes that keep one cluster."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = {}
        self.passwords = folder / "password"
        self.passwords.write_text("secret\n")
        self.start("s1", self.settings("s1", SERVER) | {"server": True})
        for node in NODES:
            self.home(node).mkdir(mode=0o755)
            shutil.chown(self.home(node), "postgres", "postgres")
            self.start(node, self.settings(node, self.address(node)) | {"postgres": self.block(node)})

    def home(self, node):
        return self.folder / ("of-" + node)

    def data(self, node):
        return self.home(node) / "main"

    def address(self, node):
        return "127.0.1.%d" % (1 + NODES.index(node))

    def settings(self, node, address):
        return {"node_name": node, "bind_addr": address, "client_addr": address, "data_dir": str(self.folder / node),
                "retry_join": [SERVER], "retry_interval": "1s", "profile": "fast", "link": {"allow_plaintext": True},
                "ports": {"dns": -1}, "leave_on_terminate": False, "log_level": "debug"}

    def block(self, node):
        return {"cluster": "main", "data_dir": str(self.data(node)), "bin_dir": str(pg_house.BIN), "port": PORT,
                "listen": self.address(node), "socket_dir": str(self.home(node)), "password_file": str(self.passwords),
                "replication_password_file": str(self.passwords), "initialize": True, "mode": "async"}

    def start(self, node, settings=None):
        path = self.folder / (node + ".json")
        if settings:
            path.write_text(json.dumps(settings))
        log = (self.folder / (node + ".log")).open("a")
        self.processes[node] = subprocess.Popen([serf_pool.ROLLCALL, "agent", "-config-file=%s" % path], stdout=log,
                                                stderr=log)

    def log(self, node):
        return (self.folder / (node + ".log")).read_text()

    def view(self):
        with contextlib.suppress(OSError, ValueError), \
             urllib.request.urlopen("http://%s:8500/v1/postgres/main" % SERVER, timeout=5) as answer:
            return json.load(answer)
        return None

    def primary(self):
        """Its name, while it may be written."""
        view = self.view()
        primary = view and view["Primary"]
        return primary["Node"] if primary and primary["Writable"] else None

    def follows(self, node):
        """Whether it streams from the primary, on the same timeline."""
        members = {m["Node"]: m for m in (self.view() or {"Members": []})["Members"]}
        primary = members.get(self.primary())
        return primary is not None and node in members and members[node]["Streaming"] and \
            members[node]["Timeline"] == primary["Timeline"]

    def other(self, node):
        return NODES[1 - NODES.index(node)]

    def sql(self, node, text):
        return pg_house.run_as_owner("psql", "-h", self.home(node), "-p", PORT, "-U", "postgres", "-At", "-c", text,
                                     "postgres").strip()

    def working_in(self, node):
        """All processes of its PostgreSQL."""
        found = []
        for place in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if place.isdigit() and os.readlink("/proc/%s/cwd" % place) == str(self.data(node)):
                    found.append(int(place))
        return [pid for pid in found if pg_house.alive(pid)]

    def warden(self, node):
        """The process id of its warden."""
        wanted = "-socket=%s" % (self.folder / node / "pg/main.sock")
        for place in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if place.isdigit() and wanted in open("/proc/%s/cmdline" % place).read().split("\0"):
                    return int(place)
        return None

    def kill(self, node):
        """As when the machine dies."""
        self.kill_agent(node)
        for pid in [self.warden(node), *self.working_in(node)]:
            with contextlib.suppress(OSError, TypeError):
                os.kill(pid, signal.SIGKILL)
        pg_house.until(lambda: not self.working_in(node))

    def kill_agent(self, node):
        self.processes[node].kill()
        self.processes[node].wait()

    def lose_writes(self, node):
        """The node dies with writes that nobody else has; the other takes over."""
        rows = self.sql(node, "SELECT pid FROM pg_stat_replication").split()
        for pid in rows:
            os.kill(int(pid), signal.SIGSTOP)
        self.sql(node, "INSERT INTO t SELECT g FROM generate_series(1, 1000) g")
        self.kill(node)
        pg_house.until(lambda: self.primary() == self.other(node), LONG)

    def end(self):
        for node in self.processes:
            self.kill_agent(node)
        for node in NODES:
            self.kill(node) if self.warden(node) else None


@pytest.fixture(scope="module")
def pool():
    if pg_house.why_not():
        pytest.skip(pg_house.why_not())
    namespace = serf_pool.Namespace()
    with pg_house.new_folder() as folder:
        made = Keepers(folder)
        try:
            pg_house.until(made.primary, LONG)
            pg_house.until(lambda: made.follows(made.other(made.primary())), LONG)
            made.sql(made.primary(), "CREATE TABLE t (i int)")
            yield made
        finally:
            made.end()
    namespace.leave()


@pytest.fixture(autouse=True)
def explained(pool, request):
    yield
    if request.session.testsfailed:
        print(json.dumps(pool.view(), indent=1))
        for node in NODES:
            print(node, (pool.folder / (node + ".log")).read_text()[-6000:])


def test_an_agent_that_comes_back_finds_its_server_running(pool):
    for _ in range(3):
        node = pg_house.until(pool.primary)
        before = pool.sql(node, "SELECT pg_postmaster_start_time()")
        term = pool.view()["Term"]
        pool.kill_agent(node)
        pool.start(node)
        time.sleep(4)  # longer than the lease lasts without it
        if "the session has ended in the store" not in pool.log(node).rsplit("rollcall 0.", 1)[1]:
            break
    else:
        pytest.skip("no agent comes back before its lease ends on this machine")
    assert pool.sql(node, "SELECT pg_postmaster_start_time()") == before
    assert pool.primary() == node and pool.view()["Term"] == term


def test_metrics_tell_which_keeper_is_primary(pool):
    states = {}
    for node in NODES:
        with urllib.request.urlopen("http://%s:8500/v1/agent/metrics?format=prometheus" % pool.address(node), timeout=5) as answer:
            lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line.startswith("rollcall_postgres_"))
        states[node] = [name for name in lines if name.startswith("rollcall_postgres_state{") and lines[name] == "1"]
        assert (lines["rollcall_postgres_term"] != "0") == (node == pool.primary())
    primary = pool.primary()
    assert states[primary] == ['rollcall_postgres_state{state="primary"}']
    assert states[pool.other(primary)] == ['rollcall_postgres_state{state="standby"}']


def test_the_catalog_shows_one_primary(pool):
    with urllib.request.urlopen("http://%s:8500/v1/health/service/postgres" % SERVER, timeout=5) as answer:
        shown = {entry["Node"]["Node"]: entry["Service"] for entry in json.load(answer)}
    assert {node: "primary" in service["Tags"] for node, service in shown.items()} == \
        {node: node == pool.primary() for node in NODES}
    assert shown[pool.primary()]["Meta"]["pg_cluster"] == "main"
    assert shown[pool.primary()]["Port"] == PORT


def test_who_lost_writes_is_rewound_and_they_are_saved(pool):
    old = pool.primary()
    pool.lose_writes(old)
    pool.start(old)
    pg_house.until(lambda: pool.follows(old), LONG)
    assert pool.sql(old, "SELECT pg_is_in_recovery(), count(*) FROM t") == "t|0"
    assert list((pool.data(old).parent / "main.diverged").glob("*/0*"))


def test_a_rewind_that_was_killed_ends_in_a_copy(pool):
    for _ in range(5):
        old = pg_house.until(pool.primary)
        pool.lose_writes(old)
        marker = pool.folder / old / "pg/main.repair"
        pool.start(old)
        pg_house.until(lambda: marker.exists() or pool.follows(old), LONG, every=0.001)
        pool.kill_agent(old)
        subprocess.run(["pkill", "-9", "-f", "pg_rewind --target-pgdata=%s" % pool.data(old)], check=False)
        if marker.exists():
            break
        pool.start(old)  # it was rewound between two looks
        pg_house.until(lambda: pool.follows(old), LONG)
    assert marker.exists()
    pool.start(old)
    pg_house.until(lambda: pool.follows(old), LONG)
    assert not marker.exists()
    assert list(pool.data(old).parent.glob("main.old-*"))


def test_an_order_stops_and_starts_a_standby(pool):
    node = pool.other(pool.primary())

    def ordered(kind):
        request = urllib.request.Request("http://%s:8500/v1/postgres/main/order/%s" % (SERVER, node), method="PUT",
                                         data=json.dumps({"Kind": kind}).encode())
        urllib.request.urlopen(request, timeout=10).close()
    ordered("stop")
    pg_house.until(lambda: not pool.working_in(node), LONG)
    assert "shut down in recovery" in pg_house.run_as_owner(pg_house.BIN / "pg_controldata", pool.data(node))
    ordered("start")
    pg_house.until(lambda: pool.follows(node), LONG)
