"""A PostgreSQL cluster in a folder, and the warden's own words, for tests of the keeper's hands."""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from patience import patient
import serf_pool

BIN = Path("/usr/lib/postgresql/15/bin")
LONG = patient(30)
KINDS = ["start", "adopt", "stop_fast", "stop_now", "kill", "deadline", "no_deadline", "keep", "end"]
STATES = ["idle", "running", "stopping", "killing"]
CAUSES = ["none", "itself", "stopped", "killed", "deadline"]
ECHO = ["version", "warden_pid", "boot_ms", "state", "cause", "exit", "pid", "adopted", "since", "term", "deadline",
        "session", "kept_term", "number", "answer", "kills", "problem", "runs"]


def why_not():
    if os.geteuid() != 0:
        return "PostgreSQL is run as its own user: needs root"
    return None if (BIN / "postgres").exists() else "needs PostgreSQL 15 in %s" % BIN


@contextlib.contextmanager
def new_folder():
    """Where the user postgres gets to, too: every run of pytest shuts its own folders from others again."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-pg-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def owner():
    return pwd.getpwnam("postgres")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_as_owner(*words, **more):
    return subprocess.run([str(w) for w in words], user="postgres", group="postgres", extra_groups=[], check=True,
                          capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, cwd="/",
                          **{"timeout": LONG, **more}).stdout


def boot_ms(ahead=0.0):
    return int((time.clock_gettime(time.CLOCK_BOOTTIME) + ahead) * 1000)


def until(what, limit=LONG, every=0.02):
    """The first true value of what()."""
    end = time.monotonic() + patient(limit)
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < end, "in vain: %s" % what
        time.sleep(every)


def alive(pid):
    with contextlib.suppress(OSError):
        return Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


class Cluster:
    """A data folder of the user postgres."""

    def __init__(self, folder):
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.data.mkdir(mode=0o700)
        os.chown(self.data, owner().pw_uid, owner().pw_gid)
        run_as_owner(BIN / "initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-D", self.data)

    def arguments(self):
        return [str(BIN / "postgres"), "-D", str(self.data), "-c", "listen_addresses=127.0.0.1", "-c",
                "port=%d" % self.port, "-c", "unix_socket_directories=%s" % self.data, "-c", "fsync=off"]

    def processes(self):
        """All that works in the data folder."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(place / "cwd") == str(self.data) and alive(int(place.name)):
                    found.append(int(place.name))
        return found

    def postmaster(self):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])
            return pid if alive(pid) else None
        return None

    def sql(self, text, **more):
        return run_as_owner("psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-At", "-c", text, "postgres",
                            **more).strip()

    def answers(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.sql("SELECT 1") == "1"
        return False

    def end(self):
        for pid in self.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


# ---- MessagePack, as much of it as is spoken here.

def pack(value):
    if isinstance(value, list):
        return bytes([0xdc]) + len(value).to_bytes(2, "big") + b"".join(pack(v) for v in value)
    if isinstance(value, str):
        raw = value.encode()
        return bytes([0xda]) + len(raw).to_bytes(2, "big") + raw
    return bytes([0xcf]) + value.to_bytes(8, "big")


def unpack(raw):
    head, raw = raw[0], raw[1:]
    if head < 0x80:
        return head, raw
    if 0xa0 <= head < 0xc0:
        return raw[:head & 31].decode(), raw[head & 31:]
    if 0xcc <= head <= 0xcf:
        size = 1 << (head - 0xcc)
        return int.from_bytes(raw[:size], "big"), raw[size:]
    if head in (0xda, 0xdb):
        size = 2 if head == 0xda else 4
        count = int.from_bytes(raw[:size], "big")
        return raw[size:size + count].decode(), raw[size + count:]
    assert head in (0xdc, 0xdd) or head & 0xf0 == 0x90, hex(head)
    if head & 0xf0 == 0x90:
        count = head & 15
    else:
        size = 2 if head == 0xdc else 4
        count, raw = int.from_bytes(raw[:size], "big"), raw[size:]
    items = []
    for _ in range(count):
        item, raw = unpack(raw)
        items.append(item)
    return items, raw


class Warden:
    """The warden as a process, and us as its keeper."""

    def __init__(self, folder, *words):
        self.path = folder / "w.sock"
        self.number = 0
        self.socket = None
        self.process = subprocess.Popen([serf_pool.ROLLCALL, "warden", "-socket=%s" % self.path, "-user=postgres",
                                         *words], stderr=subprocess.PIPE)
        self.connect()

    def connect(self):
        if self.socket:
            self.socket.close()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(LONG)

        def tried():
            with contextlib.suppress(OSError):
                self.socket.connect(str(self.path))
                return True
            return False
        until(tried)

    def echo(self):
        """The next thing it says."""
        fields = unpack(self.socket.recv(1 << 16))[0]
        said = dict(zip(ECHO, fields))
        said["state"], said["cause"] = STATES[said["state"]], CAUSES[said["cause"]]
        return said

    def wait(self, limit=LONG, **wanted):
        end = time.monotonic() + limit
        said = None
        while time.monotonic() < end:
            said = self.echo()
            if all(said[name] == value for name, value in wanted.items()):
                return said
        raise AssertionError("not %s but %s" % (wanted, said))

    def order(self, kind, term=0, deadline=0, pid=0, session="", data="", words=()):
        """Sends an order; what it says with the answer."""
        self.number += 1
        self.socket.send(pack([1, KINDS.index(kind), self.number, term, deadline, pid, session, str(data), list(words)]))
        return self.wait(number=self.number)

    def start(self, cluster):
        said = self.order("start", data=cluster.data, words=cluster.arguments())
        assert said["state"] == "running", said
        until(cluster.answers)
        return said

    def primary(self, cluster):
        said = self.start(cluster)
        cluster.sql("SELECT pg_promote()")
        return said

    def end(self):
        self.process.kill()
        self.process.communicate()
        self.socket.close()
