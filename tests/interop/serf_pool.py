"""Real `serf agent`s and ours in one pool, in a network namespace of their own."""
import base64
import ctypes
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from patience import patient

ROOT = Path(__file__).resolve().parents[2]
ROLLCALL = str(ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall")
SERF = shutil.which("serf") or "/usr/bin/serf"
ALIVE, LEAVING, LEFT, FAILED = 1, 2, 3, 4  # Consul's and Serf's numbers
SERF_WORDS = {ALIVE: "alive", LEAVING: "leaving", LEFT: "left", FAILED: "failed"}
GOSSIP, RPC, HTTP = 7946, 7373, 8500
CLONE_NEWNET = 0x40000000
LONG = patient(30)  # seconds that nothing needs
# What serf says when an answer is late, which on a busy machine happens now and then.
LATE = r"Refuting a suspect message|Was able to connect to .* but other probes failed|Failed fallback|i/o timeout"
LATE_MAX = 5
GREET = "echo hello $(cat)"  # s1 and r1 answer the query of that name with its payload
WATCH = 'watches = [{ type = "query", name = "greet", args = ["sh", "-c", "%s"] }]' % GREET


def why_not():
    """What these tests lack on this machine, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return None if os.path.exists(SERF) else "serf is not installed"


def until(seconds, question, what):
    """Waits for a true answer; `what` may be a function that says how it stands at the end."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError("not within %s s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(0.1)


def new_key(size=32):
    return base64.b64encode(os.urandom(size)).decode()


class Namespace:
    """This thread, and all that it starts, in a new network with nothing but loopback."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._must(self.libc.unshare(CLONE_NEWNET))
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    @staticmethod
    def _must(result):
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def leave(self):
        self._must(self.libc.setns(self.before, CLONE_NEWNET))
        os.close(self.before)


class Deaf:
    """Within: the program's UDP port of gossip hears nothing, as behind a firewall; TCP goes on."""

    PIDFD_OPEN, PIDFD_GETFD = 434, 438
    SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27

    def __init__(self, program):
        self.program = program

    def _socket(self):
        pid = self.program.process.pid
        rows = [line.split() for line in Path("/proc/%d/net/udp" % pid).read_text().splitlines()[1:]]
        address = "%08X:%04X" % (struct.unpack("<I", socket.inet_aton(self.program.ip))[0], GOSSIP)
        inode = next(row[9] for row in rows if row[1] == address)
        number = next(int(link.name) for link in Path("/proc/%d/fd" % pid).iterdir()
                      if os.readlink(link) == "socket:[%s]" % inode)
        libc = ctypes.CDLL(None, use_errno=True)
        process = libc.syscall(self.PIDFD_OPEN, pid, 0)
        copy = libc.syscall(self.PIDFD_GETFD, process, number, 0)
        os.close(process)
        assert copy >= 0, os.strerror(ctypes.get_errno())
        return socket.socket(fileno=copy)

    def __enter__(self):
        self.socket = self._socket()
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(nothing)))
        return self

    def __exit__(self, *_):
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_DETACH_FILTER, 0)
        self.socket.close()


class Program:
    """A program with its output in a file, to which a restart appends."""

    def __init__(self, folder, name, command):
        self.name, self.command = name, command
        self.path = folder / (name + ".log")
        self.process = None

    def start(self):
        with open(self.path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        until(LONG, self._answers, lambda: "%s answers: %s" % (self.name, self.said()[-4000:]))

    def _answers(self):
        assert self.process.poll() is None, self.said()[-4000:]
        return self.members()

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def said(self):
        return self.path.read_text(errors="replace")

    def says(self, text, seconds=LONG):
        until(seconds, lambda: text in self.said(), lambda: "%s says %r: %s" % (self.name, text, self.said()[-4000:]))

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def tell_to_end(self):
        if self.runs():
            self.process.terminate()

    def stop(self):
        """Its exit code."""
        self.tell_to_end()
        return self.ended()

    def ended(self):
        """The exit code of what was told to end: once, for twice means at once."""
        if self.process is None:
            return 0
        try:
            return self.process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def sees(self, name, status, seconds=LONG):
        until(seconds, lambda: self.status(name) == status,
              lambda: "%s sees %s as %s, not %s; it said: %s" % (
                  self.name, name, self.status(name), status, self.said()[-3000:]))

    def view(self):
        """{name: status} of everybody it knows."""
        return {name: self.status_of(member) for name, member in self.members().items()}

    def status(self, name):
        member = self.members().get(name)
        return None if member is None else self.status_of(member)


def _end_query(query):
    """{"Acks": [names], "Responses": {name: text}}, when its time is up."""
    said = query.stdout.read()
    assert query.wait() == 0, said
    return {"Acks": sorted(re.findall(r"^Ack from '(.*)'$", said, re.M)),
            "Responses": dict(re.findall(r"^Response from '(.*?)': (.*)$", said, re.M))}


class Serf(Program):
    def __init__(self, folder, name, ip, key=None, join=None, tags=(), words=()):
        self.ip, self.address, self.rpc = ip, "%s:%d" % (ip, GOSSIP), "%s:%d" % (ip, RPC)
        self.folder = folder
        command = [SERF, "agent", "-node=" + name, "-bind=" + self.address, "-rpc-addr=" + self.rpc,
                   "-profile=local", "-log-level=trace", *words]
        command += ["-encrypt=" + key] if key else []
        command += ["-join=" + join] if join else []
        command += ["-tag=%s=%s" % tag for tag in tags]
        super().__init__(folder, name, command)

    def run(self, *words):
        return subprocess.run([SERF, words[0], "-rpc-addr=" + self.rpc, *words[1:]], text=True, timeout=patient(60),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def ask(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, "serf %s: %s" % (" ".join(words), done.stdout)
        return done.stdout

    def begin_query(self, *words):
        """A query under way, for end_query()."""
        query = subprocess.Popen([SERF, "query", "-rpc-addr=" + self.rpc, *words], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        first = query.stdout.readline()
        assert "dispatched" in first, first + query.communicate()[0]
        return query

    end_query = staticmethod(_end_query)

    def members(self):
        done = self.run("members", "-format=json")
        if done.returncode != 0:
            return {}
        return {member["name"]: member for member in json.loads(done.stdout)["members"]}

    @staticmethod
    def status_of(member):
        return next((number for number, word in SERF_WORDS.items() if word == member["status"]), member["status"])

    def tags(self, name):
        return self.members().get(name, {}).get("tags", {})

    def complaints(self, *explained):
        """What it warned of; a line that matches one of `explained` is left out, and a few late answers."""
        lines = re.findall(r".*\[(?:WARN|ERR)\].*", self.said())
        late = [line for line in lines if re.search(LATE, line)]
        known = ("shutdown detected", r"agent\.ipc: ", *explained, *([LATE] if len(late) <= LATE_MAX else []))
        return [line for line in lines if not any(re.search(words, line) for words in known)]


class Agent(Program):
    def __init__(self, folder, name, ip, key=None, join=None, words=(), profile="fast"):
        self.ip, self.address, self.http = ip, "%s:%d" % (ip, GOSSIP), "%s:%d" % (ip, HTTP)
        command = [ROLLCALL, "agent", "-node=" + name, "-bind=" + ip, "-client=" + ip, "-serf-lan-port=%d" % GOSSIP,
                   "-http-port=%d" % HTTP, "-dns-port=-1", "-profile=" + profile, "-log-level=debug",
                   "-data-dir=%s" % (folder / ("data-" + name)), *words]
        command += ["-encrypt=" + key] if key else []
        command += ["-retry-join=" + join, "-retry-interval=1s"] if join else []
        super().__init__(folder, name, command)

    def api(self, path, method="GET", body=None):
        """The answer, from JSON if it is; AssertionError for any status but 200."""
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        request = urllib.request.Request("http://%s%s" % (self.http, path), data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LONG) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError("%s %s: %s %s" % (method, path, error.code, error.read())) from error
        try:
            return json.loads(text)
        except ValueError:
            return text

    def run(self, *words):
        return subprocess.run([ROLLCALL, words[0], "-http-addr=" + self.http, *words[1:]], text=True, timeout=patient(60),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def ask(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, "rollcall %s: %s" % (" ".join(words), done.stdout)
        return done.stdout

    def begin_query(self, *words):
        """A query under way, for end_query()."""
        return subprocess.Popen([ROLLCALL, "query", "-http-addr=" + self.http, *words], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    end_query = staticmethod(_end_query)

    def members(self):
        try:
            return {member["Name"]: member for member in self.api("/v1/agent/members")}
        except OSError:
            return {}

    @staticmethod
    def status_of(member):
        return member["Status"]

    def tags(self, name):
        return self.members().get(name, {}).get("Tags", {})


class Pool:
    """Starts programs at addresses of their own and ends them; ours must end well."""

    def __init__(self, folder, key=None):
        self.folder, self.key = folder, key
        self.made = []
        self.namespace = Namespace()

    def _ip(self):
        return "127.0.77.%d" % (len(self.made) + 1)

    def _add(self, kind, name, more):
        more.setdefault("key", self.key)
        program = kind(self.folder, name, self._ip(), **more)
        self.made.append(program)
        program.start()
        return program

    def serf(self, name, **more):
        return self._add(Serf, name, more)

    def agent(self, name, **more):
        return self._add(Agent, name, more)

    def agree(self, seconds=LONG, **others):
        """Everybody that runs sees everybody that runs as alive, and `others` as told."""
        running = [program for program in self.made if program.runs()]
        wanted = {**{program.name: ALIVE for program in running}, **others}
        until(seconds, lambda: all(program.view() == wanted for program in running),
              lambda: "all see %s: %s" % (wanted, {program.name: program.view() for program in running}))

    def end(self):
        try:
            for program in self.made:
                if isinstance(program, Serf):
                    program.kill()
            for program in self.made:
                if isinstance(program, Agent):
                    program.tell_to_end()
            codes = {program.name: program.ended() for program in self.made if isinstance(program, Agent)}
            bad = [program for program in self.made if codes.get(program.name, 0) not in (0, -9)]
            assert not bad, "\n".join("%s ended with %d: %s" % (p.name, codes[p.name], p.said()[-4000:]) for p in bad)
        finally:
            self.namespace.leave()


def mixed_pool(folder, key=None):
    """Two serfs, s1 and s2, and three of ours, r1 to r3, all alive to all."""
    pool = Pool(folder, key)
    try:
        first = pool.serf("s1", tags=[("role", "db"), ("zone", "east")], words=["-event-handler=query:greet=" + GREET])
        pool.agent("r1", join=first.address, words=["-enable-script-handlers", "-hcl=" + WATCH])
        pool.serf("s2", join=first.address, tags=[("role", "cache")])
        for name in ("r2", "r3"):
            pool.agent(name, join=pool.made[1].address)
        pool.agree()
    except BaseException:
        pool.end()
        raise
    return pool
