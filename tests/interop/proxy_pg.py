"""Two real PostgreSQL servers, and a rollcall-proxy that follows what a test says of them.

`servers`, `keepers`, `start` and `proxy` are fixtures: import them by name. pg1 has been the primary all along and
pg2 its standby; what the lease says of them is the test's word alone (pg_keepers.py).
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request

import psycopg2
import pytest
from patience import patient
from pg_keepers import Keepers
from proxy_lab import free_port, program

BIN = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
USER = "postgres"


def as_postgres(*command, check=True):
    prefix = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups"] if os.getuid() == 0 else []
    return subprocess.run([*prefix, *map(str, command)], cwd="/", check=check, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=patient(60))


def until(claim, within=30, every=0.01):
    end = time.monotonic() + patient(within)
    while time.monotonic() < end:
        if claim():
            return
        time.sleep(every)
    raise AssertionError("not within %s s" % within)


class Server:
    def __init__(self, folder, name):
        self.name, self.data, self.port = name, folder / name, free_port()
        self.log = folder / (name + ".log")

    def configure(self):
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(f"""
listen_addresses = '127.0.0.1'
port = {self.port}
unix_socket_directories = ''
cluster_name = '{self.name}'
fsync = off
wal_keep_size = 64MB
""")
        (self.data / "pg_hba.conf").write_text(
            "host all scrammed 127.0.0.1/32 scram-sha-256\n"
            "host replication all 127.0.0.1/32 trust\n"
            "host all all 127.0.0.1/32 trust\n")

    def init(self):
        as_postgres(BIN / "initdb", "-D", self.data, "-A", "trust", "-N", "--locale", "C.UTF-8")
        self.configure()
        self.start()

    def clone(self, primary):
        as_postgres(BIN / "pg_basebackup", "-D", self.data, "-h", "127.0.0.1", "-p", primary.port, "-R",
                    "-X", "stream", "-c", "fast", "--no-sync")
        self.configure()
        self.start()

    def start(self):
        as_postgres(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "120", "-l", self.log, "start")

    def stop(self, mode="fast"):
        as_postgres(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "120", "-m", mode, "stop", check=False)

    def promote(self):
        as_postgres(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "120", "promote")


def connect(port, user=USER, **more):
    connection = psycopg2.connect(host="127.0.0.1", port=port, user=user, dbname="postgres", connect_timeout=int(patient(30)),
                                  **more)
    connection.autocommit = True
    return connection


def ask(connection, text):
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0] if cursor.description else None


def cluster_name(connection):
    return ask(connection, "SHOW cluster_name")


def in_background(work):
    """Runs work(); [result] or [exception] when it is done, with the thread."""
    done = []

    def run():
        try:
            done.append(work())
        except Exception as error:  # the test looks at it
            done.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return done, thread


def fails(session):
    try:
        ask(session, "SELECT 1")
        return False
    except psycopg2.Error:
        return True


def last_word(session):
    """What the server said unasked before it closed; psycopg2 itself keeps it to itself."""
    with contextlib.closing(socket.socket(fileno=os.dup(session.fileno()))) as own:
        own.settimeout(30)
        return own.recv(1000, socket.MSG_PEEK).decode()


def in_clear(port):
    return connect(port, sslmode="disable")


def name_through(port, **more):
    with contextlib.closing(connect(port, **more)) as session:
        return cluster_name(session)


def startup(user, database="postgres", **more):
    fields = {"user": user, "database": database, **more}
    body = struct.pack(">I", 196608) + b"".join(
        name.encode() + b"\0" + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    return struct.pack(">I", 4 + len(body)) + body


def psql(port, text, **settings):
    environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": "postgres",
                   "PGGSSENCMODE": "disable", "PGCONNECT_TIMEOUT": "60", **settings}
    return subprocess.run(["psql", "-XAtq", "-c", text], env=environment, capture_output=True, text=True, check=False,
                          timeout=patient(60))


# --- the proxy ---

class Proxy:
    """`listen` and `pool` go into a configuration with two listeners, to be written and to be read."""

    def __init__(self, folder, agent_port, source, pool="", write="", read="", more=""):
        self.write, self.read, self.admin = free_port(), free_port(), free_port()
        self.config = folder / "proxy.conf"
        self.log_path = folder / "proxy.log"
        self.config.write_text(f"""
admin 127.0.0.1:{self.admin}
drain_timeout 2s
{more}
discovery agent {{ address 127.0.0.1:{agent_port}; wait 10s }}
pool db {{ {source}; {pool} }}
listen postgres 127.0.0.1:{self.write} {{ pool db; target primary; {write} }}
listen postgres 127.0.0.1:{self.read} {{ pool db; target standby; {read} }}
""")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([program(), "-config", str(self.config)], stderr=self.log)
        until(self.answers)

    def answers(self):
        assert self.process.poll() is None, "rollcall-proxy has ended: " + self.said()
        with contextlib.suppress(OSError):
            return self.is_ready()
        return False

    def is_ready(self):
        for port in (self.write, self.read, self.admin):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    def said(self):
        return self.log_path.read_text()

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=30) as answer:
            return answer.read().decode()

    def pool(self):
        return json.loads(self.page("/upstreams"))["pools"][0]

    def figures(self):
        return self.pool()["postgres"]

    def roles(self):
        return {instance["id"]: instance["role"] for instance in self.pool()["instances"]}

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(patient(30)) == 0
        finally:
            self.process.kill()
            self.log.close()


class LeaseProxy(Proxy):
    """Follows the keepers of cluster main."""

    def __init__(self, folder, keepers, write="", read="", **more):
        super().__init__(folder, keepers.port, "from agent postgres main", write="wait_for_primary 30s; " + write,
                         read="wait_for_primary 30s; " + read, **more)

    def is_ready(self):
        return self.figures()["view"] == "current"


@contextlib.contextmanager
def proxies(folder, make):
    """A function that starts proxies, which end with the block; sanitizers must have had nothing to say."""
    made = []

    def start_proxy(**options):
        made.append(make(**options))
        return made[-1]

    try:
        yield start_proxy
    finally:
        for proxy in made:
            proxy.close()
    log = (folder / "proxy.log").read_text() if made else ""
    for word in ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error"):
        assert word not in log, log


# --- fixtures ---

def make_certificate(folder):
    key, certificate = folder / "server.key", folder / "server.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    key.chmod(0o600)
    if os.getuid() == 0:
        shutil.chown(key, USER)
    return key, certificate


class SecureServer(Server):
    def configure(self):
        super().configure()
        key, certificate = self.data.parent / "server.key", self.data.parent / "server.crt"
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(f"max_connections = 300\nssl = on\nssl_key_file = '{key}'\nssl_cert_file = '{certificate}'\n")


@contextlib.contextmanager
def open_folder():
    """A folder that PostgreSQL's user can reach: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="rollcall-pg-") as path:
        os.chmod(path, 0o755)
        if os.getuid() == 0:
            shutil.chown(path, USER)
        yield pathlib.Path(path)


@pytest.fixture(scope="module")
def servers():
    with open_folder() as folder:
        make_certificate(folder)
        first, second = SecureServer(folder, "pg1"), Server(folder, "pg2")
        try:
            first.init()
            with contextlib.closing(connect(first.port)) as own:
                ask(own, "CREATE TABLE note (id serial, text text)")
                ask(own, "SET password_encryption = 'scram-sha-256'; CREATE ROLE scrammed LOGIN PASSWORD 'secret'")
            second.clone(first)
            with open(second.data / "postgresql.conf", "a", encoding="utf-8") as file:
                file.write("max_connections = 300\nssl = off\n")
            second.stop()
            second.start()
            yield first, second
        finally:
            second.stop("immediate")
            first.stop("immediate")


@pytest.fixture
def keepers(servers):
    made = Keepers()
    made.say(7, servers[0], *servers)
    yield made
    made.close()


@pytest.fixture
def start(tmp_path, keepers):
    with proxies(tmp_path, lambda **options: LeaseProxy(tmp_path, keepers, **options)) as start_proxy:
        yield start_proxy


@pytest.fixture
def proxy(start):
    return start()
