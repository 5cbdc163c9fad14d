"""Real etcd clusters on loopback addresses that nobody else has, their data on tmpfs; and the engine's driver."""
import base64
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import ground
from patience import patient

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("ROLLCALL_BUILD", "release")
DRIVER = ROOT / "build" / BUILD / "tests" / "interop" / "etcd_drive"
# Options of etcd that end its memory of old revisions after a second.
FORGETS = ("--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1s")
LATE = patient(40)


def why_not():
    if shutil.which("etcd") is None:
        return "etcd is not installed (Debian: etcd-server)"
    return "" if DRIVER.exists() else f"{DRIVER} is not built: make {DRIVER.relative_to(ROOT)}"


def until(question, seconds=LATE, every=0.05):
    end = time.monotonic() + patient(seconds)
    while True:
        try:
            found = question()
            if found:
                return found
        except (OSError, ValueError, KeyError):
            pass
        assert time.monotonic() < end, "timed out"
        time.sleep(every)


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def openssl(*words, **options):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=patient(30), **options)


class Authority:
    """A small CA and the certificates it gave."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-subj", "/CN=test ca", "-keyout", f"{self.folder}/ca.key", "-out", str(self.ca))

    def give(self, name, addresses=("127.0.0.1",)):
        """Certificate and key of `name`."""
        cert, key, asked, extra = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        extra.write_text("subjectAltName=" + ",".join(f"IP:{address}" for address in addresses) +
                         "\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", str(key), "-out", str(asked))
        openssl("x509", "-req", "-in", str(asked), "-CA", str(self.ca), "-CAkey", f"{self.folder}/ca.key", "-CAcreateserial",
                "-days", "30", "-extfile", str(extra), "-out", str(cert))
        return cert, key


class Member:
    def __init__(self, cluster, number):
        self.cluster, self.name, self.process = cluster, f"m{number}", None
        self.address = cluster.addresses[number]
        self.enter = cluster.hosts[number].enter if cluster.hosts else []
        self.url = f"{cluster.scheme}://{self.address}:2379"
        self.peer = f"{cluster.scheme}://{self.address}:2380"
        self.data = cluster.folder / self.name
        self.tls = cluster.authority.give(self.name, [self.address, "127.0.0.1"]) if cluster.authority else None

    def start(self):
        words = ["etcd", "--name", self.name, "--data-dir", self.data, "--listen-client-urls", self.url,
                 "--advertise-client-urls", self.url, "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                 "--initial-cluster", self.cluster.peers, "--heartbeat-interval", "100", "--election-timeout", "1000",
                 "--log-output", "stderr", *self.cluster.options]
        if self.tls:
            ca, (cert, key) = self.cluster.authority.ca, self.tls
            words += ["--client-cert-auth", "--peer-client-cert-auth", "--trusted-ca-file", ca, "--peer-trusted-ca-file", ca,
                      "--cert-file", cert, "--key-file", key, "--peer-cert-file", cert, "--peer-key-file", key]
        with open(self.cluster.folder / f"{self.name}.log", "a") as log:
            self.process = subprocess.Popen([*self.enter, *map(str, words)], stdout=log, stderr=log)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def call(self, path, body, timeout=30):
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.cluster.trust) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def status(self):
        return self.call("/v3/maintenance/status", {}, timeout=5)

    def has_forgotten(self, revision):
        """Whether what was at that revision has been compacted away."""
        answer = self.call("/v3/kv/range", {"key": b64("ready"), "revision": revision})
        return "compacted" in answer.get("error", "")

    def put(self, key, value, timeout=30):
        return self.call("/v3/kv/put", {"key": b64(key), "value": b64(value)}, timeout)


class Cluster:
    """`size` members; `tls` with client certificates. `options` go to each etcd, which stand on `hosts` (wires.py) or loopback."""

    def __init__(self, size=1, tls=False, options=(), hosts=None):
        self.folder = ground.new_folder("rollcall-etcd-")
        self.options, self.scheme = options, "https" if tls else "http"
        self.network = f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"
        self.authority = Authority(self.folder / "tls") if tls else None
        self.trust = None
        if tls:
            self.client = self.authority.give("client")
            self.trust = ssl.create_default_context(cafile=str(self.authority.ca))
            self.trust.load_cert_chain(*map(str, self.client))
        self.hosts = hosts
        self.addresses = [h.address for h in hosts] if hosts else [f"{self.network}.{i + 1}" for i in range(size)]
        self.peers = ",".join(f"m{i}={self.scheme}://{address}:2380" for i, address in enumerate(self.addresses))
        self.members = [Member(self, i) for i in range(size)]

    def start(self):
        for member in self.members:
            member.start()
        self.ready()
        return self

    def ready(self):
        """Writes are accepted, by every member."""
        for member in self.members:
            until(lambda member=member: "header" in member.put("ready", "x", timeout=10))

    def end(self):
        for member in self.members:
            member.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def urls(self):
        return ",".join(member.url for member in self.members)

    def leader(self):
        def find():
            for member in self.members:
                if member.process.poll() is None:
                    status = member.status()
                    if status.get("leader") == status["header"]["member_id"]:
                        return member
            return None
        return until(find)

    def leader_now(self):
        """Its name, or None when nobody says at once."""
        for member in self.members:
            try:
                status = member.call("/v3/maintenance/status", {}, timeout=0.3)
                if status.get("leader") == status["header"]["member_id"]:
                    return member.name
            except (OSError, ValueError, KeyError):
                pass
        return None

    # ---- the driver

    def driver(self, *words, prefix="rollcall/test/", user=None, urls=None, request_ms=None, history_ms=None):
        flags = ["-p", prefix]
        if user:
            flags += ["-u", user]
        if request_ms:
            flags += ["-t", str(request_ms)]
        if history_ms:
            flags += ["-k", str(history_ms)]
        if self.authority:
            flags += ["-c", ",".join(map(str, (self.authority.ca, *self.client)))]
        return [str(DRIVER), *flags, urls or self.urls, *map(str, words)]

    def drive(self, *words, **options):
        """Runs it to its end; what it printed."""
        done = subprocess.run(self.driver(*words, **options), capture_output=True, text=True, check=False, timeout=patient(60))
        assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-2000:])
        return done.stdout

    def begin(self, *words, **options):
        return subprocess.Popen(self.driver(*words, **options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def dump(self, **options):
        """Every key and its value, as the follower is told."""
        lines = self.drive("dump", 40, **options).splitlines()
        return {line.split()[1]: line.split()[2] for line in lines if line.startswith("put ")}


def finish(process):
    """Its report."""
    out, err = process.communicate(timeout=patient(60))
    assert process.returncode == 0, (process.returncode, out[-500:], err[-2000:])
    return json.loads(out)


def check_acknowledged(report, kept):
    """Every number that a client was told is there, or one later: the last may have been done unseen. What a frozen
    member had before it froze it may do when it thaws, but only what nobody was told of."""
    for client, acked in enumerate(report["acked"]):
        found = int(kept.get(f"w/{client}", "0")[:20])
        assert found >= acked or found in report["unknown"][client], f"client {client} was told {acked}, there is {found}"
