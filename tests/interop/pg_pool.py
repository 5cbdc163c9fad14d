"""A PostgreSQL cluster under keepers: hosts in network namespaces on one bridge, and everything that can befall them.

s1, s2, s3 are servers (etcd and an agent with it), pg1, pg2, ... keep PostgreSQL, c is where clients are: an agent and
rollcall-proxy. Nothing is added to the machine's own network. A host's wires are cut for single directions by giving a
neighbour an address of hardware that nobody has: what is sent is lost, silently.
"""
import base64
import contextlib
import ctypes
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ground
from etcd_cluster import openssl  # noqa: F401  (a missing openssl shows at once)
from patience import patient
from pg_writer import TABLE, Record

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release")
CLUSTER, NETWORK, NOBODY = "main", "10.87.9", "02:00:00:00:00:01"
SERVERS = ("s1", "s2", "s3")
PROXY_PORT, STANDBY_PORT = 6432, 6433
CLONE_NEWNET = 0x40000000
LATE = int(os.environ.get("PG_LATE", patient(90)))
TTL_S = 3.0
ELECTION_S = 1.0  # of etcd
_libc = ctypes.CDLL(None, use_errno=True)


def binaries():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[4]))
    return found[-1].parent if found else None


def why_not():
    if os.geteuid() != 0:
        return "network namespaces need root"
    if binaries() is None:
        return "PostgreSQL is not installed"
    if shutil.which("etcd") is None:
        return "etcd is not installed (Debian: etcd-server)"
    return ""


def until(question, what, seconds=LATE, every=0.02):
    """Waits until question() is true and returns that; errors of a program that is not there do not count."""
    end = time.monotonic() + seconds
    error = None
    while True:
        try:
            found = question()
            if found:
                return found
        except (OSError, ValueError, KeyError, IndexError, TypeError, http.client.HTTPException, subprocess.SubprocessError) as problem:
            error = problem
        assert time.monotonic() < end, f"in vain: {what} ({error!r})"
        time.sleep(every)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def send(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Host:
    """A network namespace, and the processes that live in it."""

    def __init__(self, pool, name, number):
        self.pool, self.name, self.address = pool, name, f"{NETWORK}.{number}"
        self.number = number
        self.folder = pool.folder / name
        self.folder.mkdir(mode=0o755)
        self.holder = subprocess.Popen(["unshare", "-n", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"])
        ours = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != ours, "a network namespace")
        self.network = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        self.programs = {}
        self.is_plugged = False

    @property
    def enter(self):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    @contextlib.contextmanager
    def inside(self):
        """What this thread opens meanwhile is opened on this host."""
        with open("/proc/self/task/%d/ns/net" % threading.get_native_id()) as ours, open(f"/proc/{self.holder.pid}/ns/net") as there:
            assert _libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert _libc.setns(ours.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def run(self, *words, check=True, **options):
        return subprocess.run([*self.enter, *map(str, words)], capture_output=True, text=True, check=check, timeout=120, **options)

    def start(self, name, *words, environment=None, user=None):
        prefix = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] if user else []
        with open(self.folder / f"{name}.log", "ab") as log:
            self.programs[name] = subprocess.Popen([*self.enter, *prefix, *map(str, words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                   cwd="/", start_new_session=True, env={**os.environ, **(environment or {})})

    def pid(self, name):
        return self.programs[name].pid

    def log(self, name, size=4000):
        with contextlib.suppress(OSError):
            return (self.folder / f"{name}.log").read_text(errors="replace")[-size:]
        return ""

    def processes(self, wanted=lambda comm, words: True):
        """Pids of all that live here, the holder left out."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(place.name) == self.holder.pid or os.readlink(place / "ns/net") != self.network or not alive(place.name):
                    continue
                words = (place / "cmdline").read_bytes().split(b"\0")
                if wanted((place / "comm").read_text().strip(), words):
                    found.append(int(place.name))
        return found

    def postgres(self):
        return self.processes(lambda comm, _: comm == "postgres")

    def wardens(self):
        return self.processes(lambda comm, words: b"warden" in words[:3])

    def agent(self):
        return self.processes(lambda comm, words: b"agent" in words[:3] and b"rollcall" in words[0])

    # ---- wires

    def plug(self, on):
        self.is_plugged = on
        self.pool.ip("link", "set", self.name, "up" if on else "down")

    def deaf_to(self, other, lost=True):
        """What `self` sends to `other` is lost, or no longer."""
        words = ["replace", other.address, "lladdr", NOBODY, "nud", "permanent"] if lost else ["del", other.address]
        self.run("ip", "neigh", *words, "dev", "eth0", check=lost)

    # ---- the agent's interface

    def call(self, method, target, body=None, timeout=20):
        """(status, text, index)"""
        connection = http.client.HTTPConnection("127.0.0.1", 8500, timeout=timeout)
        with self.inside():
            connection.connect()
        try:
            connection.request(method, target, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), int(answer.getheader("X-Consul-Index") or 0)
        finally:
            connection.close()

    def sql(self, text, address=None, port=5432, timeout=10, user="postgres"):
        """Asks the PostgreSQL server here, or at an address, as superuser."""
        done = self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", text,
                        f"host={address or self.address} port={port} user={user} dbname=postgres connect_timeout={timeout}",
                        env={**os.environ, "PGOPTIONS": "-c statement_timeout=%ds" % timeout})
        return done.stdout.strip()


class Pool:
    """Everything, started in order. `settings` go into the postgres block of each keeper."""

    def __init__(self, nodes=2, mode="sync", **settings):
        self.folder = ground.new_folder("rollcall-pg-")
        self.settings = {"mode": mode, **settings}
        self.log_level, self.proxy_pool = "info", ""
        self.key = base64.b64encode(os.urandom(32)).decode()
        self.switch = subprocess.Popen(["unshare", "-n", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"])
        ours = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{self.switch.pid}/ns/net") != ours, "a network namespace")
        self.hosts, self.keepers, self.writers = {}, [f"pg{i + 1}" for i in range(nodes)], []
        try:
            self._wire()
        except BaseException:
            self.end()
            raise

    def __getitem__(self, name):
        return self.hosts[name]

    def ip(self, *words):
        subprocess.run(["nsenter", f"--net=/proc/{self.switch.pid}/ns/net", "--", "ip", *words], check=True, capture_output=True)

    def _wire(self):
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("link", "set", "br0", "up")
        for number, name in enumerate([*SERVERS, *self.keepers, "c"]):
            host = self.hosts[name] = Host(self, name, 10 + number)
            self.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(host.holder.pid))
            self.ip("link", "set", name, "master", "br0", "up")
            for words in (["link", "set", "lo", "up"], ["address", "add", f"{host.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
                host.run("ip", *words)
            host.is_plugged = True

    # ---- starting

    def start(self):
        shutil.copy2(BUILD / "rollcall", self.folder / "rollcall")  # a path that the user postgres may read
        for name in SERVERS:
            self.start_etcd(name)
        for name in self.hosts:
            self.start_agent(name)
        self.start_proxy()
        until(lambda: self.view()["Primary"]["Writable"], "a first primary")
        until(self.healthy, "a cluster that is whole")
        self.primary().sql(TABLE)
        return self

    def start_etcd(self, name):
        host = self[name]
        client, peer = f"http://{host.address}:2379", f"http://{host.address}:2380"
        host.start("etcd", "etcd", "--name", name, "--data-dir", host.folder / "etcd", "--listen-client-urls", client,
                   "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", ",".join(f"{other}=http://{self[other].address}:2380" for other in SERVERS),
                   "--heartbeat-interval", "100", "--election-timeout", f"{1000 * ELECTION_S:.0f}", "--pre-vote", "--log-output", "stderr")

    def configure(self, name):
        host = self[name]
        everything = {"node_name": name, "data_dir": str(host.folder / "data"), "bind_addr": host.address, "client_addr": "127.0.0.1",
                      "profile": "fast", "log_level": self.log_level, "retry_interval": "1s", "leave_on_terminate": False, "session_ttl_min": "1s",
                      "encrypt": self.key, "retry_join": [self[other].address for other in SERVERS if other != name]}
        if name in SERVERS:
            everything |= {"server": True, "bootstrap_expect": 3,
                           "store": {"engine": "etcd", "endpoints": [f"http://{self[other].address}:2379" for other in
                                                                     sorted(SERVERS, key=lambda other: other != name)]}}
        if name in self.keepers:
            everything["postgres"] = self.postgres_block(host)
        (host.folder / "agent.json").write_text(json.dumps(everything, indent=1))

    def postgres_block(self, host):
        hba = host.folder / "pg_hba.conf"
        hba.write_text("local all all trust\n" + "".join(f"host {what} all {net} trust\n" for what in ("all", "replication")
                                                         for net in ("127.0.0.0/8", f"{NETWORK}.0/24")))
        home = host.folder / "postgres"
        if not home.exists():
            home.mkdir(mode=0o700)
            shutil.chown(home, "postgres", "postgres")
        return {"cluster": CLUSTER, "data_dir": str(home / "main"), "bin_dir": str(binaries()), "hba_file": str(hba),
                "address": host.address, "port": 5432, "socket_dir": str(home), "initialize": True, "ttl": f"{TTL_S:g}s", **self.settings}

    def start_agent(self, name):
        self.configure(name)
        host = self[name]
        # Whoever plays systemctl to this host's agent may do so at any time, without an agent that starts anew.
        host.start("agent", self.program(name), "agent", "-config-file", host.folder / "agent.json",
                   environment={"PATH": f"{host.folder / 'bin'}:{os.environ['PATH']}"})

    def program(self, name):
        """A path that the user postgres may read."""
        own = self[name].folder / "program" / "rollcall"
        return own if own.exists() else self.folder / "rollcall"

    def start_proxy(self):
        host = self["c"]
        (host.folder / "proxy.conf").write_text(f"""\
admin 127.0.0.1:8800
discovery agent {{ address 127.0.0.1:8500 }}
pool db {{ from agent postgres {CLUSTER}; {self.proxy_pool} }}
listen postgres 127.0.0.1:{PROXY_PORT} {{ pool db; target primary; wait_for_primary 30s; max_waiting 1200 }}
listen postgres 127.0.0.1:{STANDBY_PORT} {{ pool db; target standby }}
""")
        host.start("proxy", BUILD / "rollcall-proxy", "-config", host.folder / "proxy.conf")

    # ---- looking

    def view(self, through=None):
        """GET /v1/postgres/main, asked of whoever answers."""
        for name in [through] if through else [*SERVERS, "c"]:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self[name].is_plugged:
                    status, text, _ = self[name].call("GET", f"/v1/postgres/{CLUSTER}", timeout=5)
                    if status == 200:
                        return json.loads(text)
        raise OSError("nobody shows the cluster")

    def primary(self):
        """The host of the primary that may be written; KeyError while there is none."""
        primary = self.view()["Primary"]
        if primary is None or not primary["Writable"]:
            raise KeyError("nobody is primary")
        return self[primary["Node"]]

    def standbys(self):
        primary = self.primary()
        return [self[name] for name in self.keepers if self[name] is not primary]

    def healthy(self):
        """All keepers are there, one is primary, the others follow it and, unless async, may take over."""
        view = self.view()
        members = {member["Node"]: member for member in view["Members"]}
        if view["Primary"] is None or not view["Primary"]["Writable"] or sorted(members) != sorted(self.keepers) or view["Intent"]:
            return None
        others = [member for name, member in members.items() if name != view["Primary"]["Node"]]
        if not all(member["State"] == "standby" and member["Upstream"] == view["Primary"]["Node"] for member in others):
            return None
        sync = view["Sync"]
        whole = view["Mode"] == "async" or (len(sync["Names"]) >= 1 and len(sync["Members"]) == len(others) and sync["Quorum"] > 0)
        return view if whole else None

    def describe(self):
        """For a failed test."""
        parts = []
        with contextlib.suppress(Exception):
            parts.append(self["s1"].run(self.folder / "rollcall", "pg", "status").stdout)
            parts.append(self["s1"].run(self.folder / "rollcall", "pg", "history").stdout)
        for name in self.keepers:
            parts.append(f"-- {name}\n{self[name].log('agent', 3000)}")
        return "\n".join(parts)

    # ---- writing

    def writer(self, clients=2, every_ms=5, port=PROXY_PORT, give_up_s=60, pad=0):
        """Writes through the proxy; end() gives its Record."""
        out = self.folder / f"written-{len(self.writers)}"
        dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres connect_timeout=40"
        self["c"].start(f"writer-{len(self.writers)}", sys.executable, "-B", HERE / "pg_writer.py", dsn, out, clients, every_ms, give_up_s, pad)
        made = Writer(self, out, self["c"].programs[f"writer-{len(self.writers)}"])
        self.writers.append(made)
        return made

    # ---- faults

    def isolate(self, name, others):
        """Nothing passes between a host and `others`, both ways."""
        for other in others:
            self[name].deaf_to(self[other])
            self[other].deaf_to(self[name])

    def heal(self):
        """All wires are whole again."""
        for one in self.hosts.values():
            if not one.is_plugged:
                one.plug(True)
            one.run("ip", "neigh", "flush", "dev", "eth0", "nud", "permanent", check=False)

    def kill_node(self, name):
        """As if the power had gone: the cable first, so that nobody says good-bye."""
        host = self[name]
        host.plug(False)
        until(lambda: not send(host.processes(), signal.SIGKILL) and not host.processes(), f"{name} is dead")
        for program in host.programs.values():
            program.wait()

    def start_node(self, name):
        self[name].plug(True)
        if name in SERVERS:
            self.start_etcd(name)
        self.start_agent(name)
        if name == "c":
            self.start_proxy()

    def mend(self):
        """Wires whole, nobody stopped, every program there; and waits until the cluster is whole."""
        self.heal()
        for name, host in self.hosts.items():
            send(host.processes(), signal.SIGCONT)
            if not host.agent():
                self.start_agent(name)
            if name in SERVERS and not host.processes(lambda comm, _: comm == "etcd"):
                self.start_etcd(name)
        return until(self.healthy, "the cluster is whole again")

    def pg(self, *words, through="s1", check=True):
        done = self[through].run(self.folder / "rollcall", "pg", *words, check=False)
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    def end(self):
        for host in self.hosts.values():
            for _ in range(50):
                left = host.processes()
                if not left:
                    break
                send(left, signal.SIGKILL)
                time.sleep(0.05)
            for program in host.programs.values():
                program.wait()
            host.holder.kill()
            host.holder.wait()
        self.switch.kill()
        self.switch.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Writer:
    def __init__(self, pool, out, process):
        self.pool, self.out, self.process = pool, out, process

    def record(self):
        return Record(self.out) if self.out.exists() else None

    def wait_for(self, count=50, server=None, since=0.0, seconds=LATE):
        """Until `count` rows were acknowledged, by that server, after `since`."""
        def enough():
            record = self.record()
            return record and sum(ack[0] > since and server in (None, ack[2]) for ack in record.acks) >= count
        until(enough, f"{count} rows are written" + (f" by {server}" if server else ""), seconds, 0.05)
        return self

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patient(70))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.record()
