"""Unmodified Patroni, its Consul module, on our API: three server agents over etcd, two PostgreSQL servers."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import etcd_cluster
import pg_tally
import ground
from patience import patient
from pg_trial import children
from pg_writer import TABLE, Record
from store_agents import Agents, until

HERE = Path(__file__).resolve().parent
TTL, LOOP, RETRY = 10, 1, 3
SCOPE = "lab"


def _binaries():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[4]))
    return found[-1].parent if found else None


def _why_not():
    if os.geteuid() != 0:
        return "PostgreSQL does not run as root, and only root can become another: run as root"
    if shutil.which("patroni") is None:
        return "patroni is not installed (Debian: patroni)"
    if _binaries() is None:
        return "PostgreSQL is not installed"
    return "etcd is not installed" if shutil.which("etcd") is None else ""


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


class Node:
    """PostgreSQL under Patroni."""

    def __init__(self, pair, name, address, agent):
        self.pair, self.name, self.address, self.agent = pair, name, address, agent
        self.data, self.process = pair.folder / name, None

    def _configuration(self):
        trust = [f"host {what} all 127.0.0.0/8 trust" for what in ("all", "replication")]
        parameters = {"wal_log_hints": "on", "wal_keep_size": "128MB", "shared_buffers": "16MB", "wal_retrieve_retry_interval": "100ms"}
        return {
            "scope": SCOPE, "name": self.name,
            "restapi": {"listen": f"{self.address}:8008", "connect_address": f"{self.address}:8008"},
            "consul": {"host": f"{self.agent.address}:8500", "register_service": True},
            "bootstrap": {"dcs": {"ttl": TTL, "loop_wait": LOOP, "retry_timeout": RETRY, "maximum_lag_on_failover": 1048576,
                                  "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": parameters}},
                          "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"], "pg_hba": trust},
            "postgresql": {"listen": f"{self.address}:5432", "connect_address": f"{self.address}:5432", "data_dir": str(self.data),
                           "bin_dir": str(_binaries()), "pgpass": str(self.pair.folder / f"{self.name}.pgpass"), "pg_hba": trust,
                           "authentication": {"superuser": {"username": "postgres", "password": "x"},
                                              "replication": {"username": "replicator", "password": "x"}},
                           "parameters": {"unix_socket_directories": ""}},
        }

    def start(self):
        file = self.pair.folder / f"{self.name}.json"
        file.write_text(json.dumps(self._configuration()))
        with open(self.pair.folder / f"{self.name}.log", "a") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "patroni", str(file)], stdout=log,
                stderr=log, cwd="/", env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, start_new_session=True)

    def postmaster(self):
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def kill(self):
        """As if the node were gone: Patroni and all of PostgreSQL at once."""
        pids = [self.process.pid] if self.process is not None and self.process.poll() is None else []
        postmaster = self.postmaster()
        if postmaster is not None and Path(f"/proc/{postmaster}/comm").exists():
            os.kill(postmaster, signal.SIGSTOP)
            pids += [postmaster, *children(postmaster)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait()

    def api(self, path, body=None):
        request = urllib.request.Request(f"http://{self.address}:8008{path}", json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def sql(self, text):
        return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", f"host={self.address} user=postgres dbname=postgres connect_timeout=5",
                               "-c", text], capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    def log(self):
        return (self.pair.folder / f"{self.name}.log").read_text()[-3000:]


class Pair:
    def __init__(self):
        self.folder = ground.new_folder("rollcall-patroni-")
        self.folder.chmod(0o777)
        self.etcd = etcd_cluster.Cluster(1)
        self.agents = Agents(self.folder / "agents")
        self.nodes, self.primaries, self.watching = [], [], None
        self.over = threading.Event()

    def start(self):
        self.etcd.start()
        for number in range(3):
            name = f"s{number + 1}"
            self.agents.server(name, session_ttl_min="1s", retry_join=[f"{self.agents.network}.1"],
                               unique_tag=[{"service": SCOPE, "tags": ["primary", "master"], "by_kv": f"service/{SCOPE}/leader"}],
                               store={"engine": "etcd", "endpoints": self.etcd.urls.split(","), "session_ttl_factor": 2}).start()
        for agent in self.agents.all:
            agent.ready()
        self.nodes = [Node(self, f"n{i + 1}", f"{self.agents.network}.{101 + i}", self.agents.all[i + 1]) for i in range(2)]
        self.watching = threading.Thread(target=self._watch, daemon=True)
        self.watching.start()

    def _watch(self):
        """What the third agent tells of primaries, all the time."""
        while not self.over.wait(0.02):
            try:
                reply = self.agents.all[0].call("GET", f"/v1/health/service/{SCOPE}?passing&tag=primary", timeout=5)
                self.primaries.append(tuple(sorted(entry["Service"]["Address"] for entry in reply.json)))
            except (OSError, ValueError):
                pass

    def leader(self):
        reply = self.agents.all[0].call("GET", f"/v1/kv/service/{SCOPE}/leader?raw")
        return next((node for node in self.nodes if reply.status == 200 and node.name == reply.text), None)

    def healthy(self):
        """(primary, standby) when one streams from the other."""
        primary = self.leader()
        if primary is None:
            return None
        standby = next(node for node in self.nodes if node is not primary)
        try:
            streams = primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
            return (primary, standby) if streams and standby.sql("SELECT pg_is_in_recovery()") == "t" else None
        except subprocess.CalledProcessError:
            return None

    def writer(self, name):
        hosts = ",".join(node.address for node in self.nodes)
        dsn = f"host={hosts} user=postgres dbname=postgres target_session_attrs=read-write connect_timeout=2"
        out = self.folder / name
        return out, subprocess.Popen([sys.executable, "-B", str(HERE / "pg_writer.py"), dsn, str(out), "1", "5", "2"])

    def end(self):
        self.over.set()
        if self.watching is not None:
            self.watching.join(patient(20))
        for node in self.nodes:
            if node.process is not None:
                node.kill()
        self.agents.end()
        self.etcd.end()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def pair():
    made = Pair()
    try:
        made.start()
        made.nodes[0].start()
        until(lambda: made.leader() is made.nodes[0], 60)
        made.nodes[1].start()
        primary, _ = until(made.healthy, 90, 0.3)
        primary.sql(TABLE)
        yield made
    except AssertionError:
        for node in made.nodes:
            print(node.name, node.log() if node.process else "")
        raise
    finally:
        made.end()


def ids(node):
    return map(int, node.sql("SELECT id FROM ledger").split())


def ended(writer):
    writer.terminate()
    writer.wait(patient(30))


def service(pair, tag):
    reply = pair.agents.all[0].call("GET", f"/v1/health/service/{SCOPE}?passing&tag={tag}")
    return [entry["Service"]["Address"] for entry in reply.json]


def test_a_pair_makes_itself(pair):
    primary, standby = pair.healthy()
    keys = {pair_["Key"].rsplit(f"{SCOPE}/", 1)[1] for pair_ in pair.agents.all[2].call("GET", f"/v1/kv/service/{SCOPE}/?recurse").json}
    assert {"config", "initialize", "leader", "members/n1", "members/n2", "status"} <= keys
    until(lambda: service(pair, "primary") == [primary.address] and service(pair, "replica") == [standby.address], 30)


def test_a_switchover_loses_nothing(pair):
    primary, standby = pair.healthy()
    out, writer = pair.writer("switchover")
    try:
        until(lambda: len(Record(out).acks) > 100, 60)
        begun = time.monotonic()
        primary.api("/switchover", {"leader": primary.name, "candidate": standby.name})
        until(lambda: pair.leader() is standby, 60)
        until(lambda: any(ack[2] == standby.address for ack in Record(out).acks), 60)
        until(lambda: service(pair, "primary") == [standby.address], 30)
    finally:
        ended(writer)
    record = Record(out)
    print(f"switchover: no row for {record.gap(begun):.2f} s")
    lost = record.lost(ids(standby))
    pg_tally.note("39.28", "Patroni", len(record.acks), len(lost), record.gap(begun), 1)
    assert lost == []
    assert until(pair.healthy, 90, 0.3)[0] is standby


def test_a_lost_node_is_replaced_and_comes_back(pair):
    primary, standby = until(pair.healthy, 60)
    out, writer = pair.writer("failover")
    try:
        until(lambda: len(Record(out).acks) > 100, 60)
        time.sleep(2 * LOOP)
        begun = time.monotonic()
        primary.kill()
        until(lambda: any(ack[2] == standby.address for ack in Record(out).acks), TTL + 60)
    finally:
        ended(writer)
    took = Record(out).gap(begun)
    print(f"lost node: no row for {took:.2f} s with ttl {TTL}")
    record = Record(out)
    pg_tally.note("39.6", "Patroni", len(record.acks), len(record.lost(ids(standby))), took, 1)
    assert took < TTL + 2 * LOOP + 20  # a loaded machine
    until(lambda: service(pair, "primary") == [standby.address], 30)
    primary.start()
    assert until(pair.healthy, 120, 0.3)[0] is standby


def test_a_server_agent_may_go(pair):
    """Patroni's own agent goes and comes back; nobody is promoted for that."""
    primary, _ = until(pair.healthy, 60)
    began = time.monotonic()
    primary.agent.kill()
    time.sleep(LOOP)
    primary.agent.start().ready()
    away = time.monotonic() - began
    if until(pair.healthy, 60)[0] is not primary:
        assert away > RETRY, away
        pytest.skip(f"the agent was away for {away:.1f} s, for longer than Patroni asks again")


whole_matrix = pytest.mark.skipif(not os.environ.get("PG_MATRIX"), reason="one of the rows that make pg-matrix runs")


class Fault:
    """Rows are written while something befalls the primary; then what was told of them is counted."""

    def __init__(self, pair, row):
        self.pair, self.row = pair, row
        self.primary, self.standby = until(pair.healthy, 90, 0.3)
        self.out, self.writer = pair.writer(f"row-{row}")
        until(lambda: len(Record(self.out).acks) > 100, 60)
        time.sleep(2 * LOOP)
        self.begun = time.monotonic()

    def goes_on(self, seconds=TTL + 60):
        since = time.monotonic()
        until(lambda: any(ack[0] > since for ack in Record(self.out).acks), seconds)

    def end(self):
        """(the primary now, rows lost)"""
        ended(self.writer)
        primary, _ = until(self.pair.healthy, 120, 0.3)
        record = Record(self.out)
        lost = record.lost(ids(primary))
        print(f"Patroni, row {self.row}: no row for {record.gap(self.begun):.2f} s, {len(record.acks)} acknowledged, {len(lost)} lost")
        pg_tally.note(f"39.{self.row}", "Patroni", len(record.acks), len(lost), record.gap(self.begun), int(primary is not self.primary))
        return primary, lost


@whole_matrix
def test_what_an_operator_stopped_is_started_again(pair):
    fault = Fault(pair, 1)
    try:
        subprocess.run(["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", str(_binaries() / "pg_ctl"),
                        "-D", str(fault.primary.data), "stop", "-m", "fast", "-w"], check=True, cwd="/", timeout=60, capture_output=True)
        fault.goes_on()
    finally:
        ended(fault.writer)
    assert fault.end()[1] == []


@whole_matrix
def test_a_killed_postmaster_is_started_again(pair):
    fault = Fault(pair, 3)
    try:
        killed = fault.primary.postmaster()
        os.kill(killed, signal.SIGKILL)
        until(lambda: fault.primary.postmaster() not in (None, killed) or pair.leader() is fault.standby, TTL + 60)
        fault.goes_on()  # and not by a backend that has not noticed
    finally:
        ended(fault.writer)
    primary, lost = fault.end()
    assert lost == [] or primary is not fault.primary


@whole_matrix
def test_a_node_that_was_stopped_as_a_whole_is_replaced_and_thaws_as_a_standby(pair):
    """What it acknowledged when it thawed is lost, in mode async: on Consul 0 to 17 rows were."""
    fault = Fault(pair, 12)
    pids = [*children(fault.primary.process.pid), *children(fault.primary.postmaster())]
    begun = time.monotonic()
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        until(lambda: any(ack[2] == fault.standby.address for ack in Record(fault.out).acks), TTL + 60)
        time.sleep(max(0.0, begun + 20 - time.monotonic()))
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        fault.goes_on()
        ended(fault.writer)
    primary, lost = fault.end()
    assert primary is fault.standby
    assert len(lost) < 100


def test_there_never_were_two_primaries_in_one_answer(pair):
    seen = [addresses for addresses in pair.primaries if len(addresses) > 1]
    assert len(pair.primaries) > 100 and seen == []
