"""PostgreSQL through rollcall-proxy: two real servers, psql and psycopg2, a promotion by hand.

A small stand-in for an agent answers /v1/health/service/NAME with Consul's blocking queries, so a
test decides what the catalog says and when.
"""
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

import psycopg2
import pytest
from patience import patient
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
                    "-X", "stream", "-c", "fast")
        self.configure()
        self.start()

    def start(self):
        as_postgres(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "120", "-l", self.log, "start")

    def stop(self, mode="fast"):
        as_postgres(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "120", "-m", mode, "stop", check=False)

    def promote(self):
        as_postgres(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "120", "promote")


class Agent:
    """Answers health queries; `say` changes the catalog and wakes who waits."""

    def __init__(self):
        self.index, self.entries, self.changed = 1, [], threading.Condition()
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                index, entries = agent.wait(self.path)
                body = json.dumps(entries).encode()
                self.send_response(200)
                self.send_header("X-Consul-Index", str(index))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, path):
        known = int(path.split("index=")[1].split("&")[0])
        with self.changed:
            self.changed.wait_for(lambda: self.index > known, timeout=20)
            return self.index, self.entries

    def say(self, **roles):
        """say(pg1=(server, "primary"), ...): the passing instances and their tags."""
        entries = [{"Node": {"Node": node, "Address": "127.0.0.1"},
                    "Service": {"ID": "postgres", "Service": "postgres", "Address": "", "Port": server.port,
                                "Tags": [tag] if tag else [], "Weights": {"Passing": 1, "Warning": 1}}}
                   for node, (server, tag) in roles.items()]
        with self.changed:
            self.index, self.entries = self.index + 1, entries
            self.changed.notify_all()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy:
    def __init__(self, folder, agent, probe="probe_user postgres", wait="20s", more=""):
        self.write, self.read, self.admin = free_port(), free_port(), free_port()
        self.config = folder / "proxy.conf"
        self.config.write_text(f"""
admin 127.0.0.1:{self.admin}
drain_timeout 2s
discovery agent {{ address 127.0.0.1:{agent.port}; wait 10s }}
pool db {{ from agent service postgres; {probe} }}
listen postgres 127.0.0.1:{self.write} {{ pool db; target primary; wait_for_primary {wait} }}
listen postgres 127.0.0.1:{self.read} {{ pool db; target standby; wait_for_primary 20s {more} }}
""")
        self.log = open(folder / "proxy.log", "ab")
        self.process = subprocess.Popen([program(), "-config", str(self.config)], stderr=self.log)
        until(lambda: self.answers())

    def answers(self):
        assert self.process.poll() is None, "rollcall-proxy has ended"
        with contextlib.suppress(OSError):
            for port in (self.write, self.read, self.admin):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        return False

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(patient(30)) == 0
        finally:
            self.process.kill()
            self.log.close()


def connect(port, user=USER, **more):
    connection = psycopg2.connect(host="127.0.0.1", port=port, user=user, dbname="postgres", connect_timeout=30,
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


@pytest.fixture
def folder():
    """A folder that PostgreSQL's user can reach: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="rollcall-pg-") as path:
        os.chmod(path, 0o755)
        if os.getuid() == 0:
            shutil.chown(path, USER)
        yield pathlib.Path(path)


@pytest.fixture
def pair(folder):
    """pg1 is primary, pg2 streams from it; the agent says so."""
    first, second, agent = Server(folder, "pg1"), Server(folder, "pg2"), Agent()
    try:
        first.init()
        with contextlib.closing(connect(first.port)) as own:
            ask(own, "CREATE TABLE note (id serial, text text)")
            ask(own, "SET password_encryption = 'scram-sha-256'; CREATE ROLE scrammed LOGIN PASSWORD 'secret'")
        second.clone(first)
        agent.say(pg1=(first, "primary"), pg2=(second, "standby"))
        yield first, second, agent
    finally:
        second.stop("immediate")
        first.stop("immediate")
        agent.close()


@pytest.fixture
def start(folder, pair):
    made = []

    def start_proxy(**options):
        made.append(Proxy(folder, pair[2], **options))
        return made[-1]

    yield start_proxy
    for proxy in made:
        proxy.close()
    log = (folder / "proxy.log").read_text()
    assert "ERROR: AddressSanitizer" not in log and "runtime error" not in log, log


@pytest.fixture
def proxy(start):
    return start()


def test_writes_go_to_the_primary_and_reads_to_the_standby(pair, proxy):
    with contextlib.closing(connect(proxy.write)) as writer, contextlib.closing(connect(proxy.read)) as reader:
        assert cluster_name(writer) == "pg1"
        assert cluster_name(reader) == "pg2"
        ask(writer, "INSERT INTO note (text) VALUES ('hello')")
        until(lambda: ask(reader, "SELECT count(*) FROM note") == 1)


def test_psql_asks_for_ssl_and_goes_on_without(pair, proxy):
    out = subprocess.run(["psql", "-XAtq", "-h", "127.0.0.1", "-p", str(proxy.write), "-U", USER, "-d",
                          "postgres sslmode=prefer".split()[0], "-c", "SELECT 6 * 7"],
                         env={**os.environ, "PGSSLMODE": "prefer", "PGGSSENCMODE": "disable"},
                         capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "42"


def test_client_and_server_agree_on_a_password_between_themselves(pair, proxy):
    with contextlib.closing(connect(proxy.write, user="scrammed", password="secret")) as session:
        assert ask(session, "SELECT current_user") == "scrammed"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(proxy.write, user="scrammed", password="wrong")


def test_cancel_reaches_the_server_of_its_session(pair, proxy):
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
    with contextlib.closing(connect(proxy.write)) as session, contextlib.closing(connect(pair[0].port)) as own:
        done, thread = in_background(lambda: ask(session, "SELECT pg_sleep(60)"))
        until(lambda: ask(own, asleep) == 1)
        session.cancel()
        thread.join(patient(30))
        assert isinstance(done[0], psycopg2.extensions.QueryCanceledError)


def test_large_results_pass_whole(pair, proxy):
    with contextlib.closing(connect(proxy.write)) as session:
        text = ask(session, "SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500000) i")
        assert len(text) == 16000000


def test_promotion_moves_writes_and_held_clients_proceed(pair, proxy):
    first, second, agent = pair
    old = connect(proxy.write)
    first.stop()
    agent.say(pg2=(second, "standby"))
    until(lambda: fails(old))
    done, thread = in_background(lambda: write_through(proxy))
    time.sleep(0.5)
    assert not done, "a client was served although there is no primary: %s" % done
    second.promote()
    agent.say(pg2=(second, "primary"))
    thread.join(patient(30))
    assert done == ["pg2"]


def fails(session):
    try:
        ask(session, "SELECT 1")
        return False
    except psycopg2.Error:
        return True


def write_through(proxy):
    with contextlib.closing(connect(proxy.write)) as session:
        ask(session, "INSERT INTO note (text) VALUES ('late')")
        return cluster_name(session)


def last_word(session):
    """What the server said unasked before it closed; psycopg2 itself keeps it to itself."""
    with contextlib.closing(socket.socket(fileno=os.dup(session.fileno()))) as own:
        own.settimeout(30)
        return own.recv(1000, socket.MSG_PEEK).decode()


def test_a_session_is_cut_when_its_server_loses_the_tag(pair, proxy):
    first, second, agent = pair
    session = connect(proxy.write)
    assert cluster_name(session) == "pg1"
    agent.say(pg1=(first, None), pg2=(second, "standby"))
    assert "no longer the primary" in last_word(session)
    with pytest.raises(psycopg2.OperationalError):
        ask(session, "SELECT 1")


def test_a_session_is_cut_when_its_server_leaves(pair, proxy):
    first, second, agent = pair
    session = connect(proxy.write)
    assert cluster_name(session) == "pg1"
    agent.say(pg2=(second, "standby"))
    assert "no longer the primary" in last_word(session)
    with pytest.raises(psycopg2.OperationalError):
        ask(session, "SELECT 1")


def test_a_tag_alone_makes_no_primary(pair, start):
    """The catalog calls the standby primary: nobody gets a session on it."""
    first, second, agent = pair
    proxy = start(wait="1s")
    agent.say(pg2=(second, "primary"))
    until(lambda: set(roles(proxy)) == {"pg2/postgres"})
    began = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match="no primary is available"):
        connect(proxy.write)
    assert time.monotonic() - began > 0.8


def test_without_a_probe_the_start_of_a_session_shows_what_the_server_is(pair, start):
    first, second, agent = pair
    proxy = start(probe="", wait="1s")
    with contextlib.closing(connect(proxy.write)) as session:
        assert cluster_name(session) == "pg1"
    agent.say(pg2=(second, "primary"))
    until(lambda: set(roles(proxy)) == {"pg2/postgres"})
    with pytest.raises(psycopg2.OperationalError, match="no primary is available"):
        connect(proxy.write)
    with pytest.raises(psycopg2.OperationalError, match="not the primary"):
        connect(proxy.write, user="scrammed", password="secret")


def test_a_probe_may_have_a_password(pair, start):
    proxy = start(probe="probe_user scrammed; probe_password secret")
    with contextlib.closing(connect(proxy.write)) as session:
        assert cluster_name(session) == "pg1"
    proxy = start(probe="probe_user scrammed; probe_password wrong", wait="500ms")
    with pytest.raises(psycopg2.OperationalError, match="no primary is available"):
        connect(proxy.write)


def test_of_two_that_claim_the_higher_timeline_wins(pair, proxy):
    first, second, agent = pair
    session = connect(proxy.write)
    assert cluster_name(session) == "pg1"
    second.promote()  # pg1 lives on: a split brain as clumsy hands make it
    agent.say(pg1=(first, "primary"), pg2=(second, "primary"))
    until(lambda: fails(session))
    with contextlib.closing(connect(proxy.write)) as other:
        assert cluster_name(other) == "pg2"


def test_reads_fall_back_to_the_primary_only_when_told_to(pair, start):
    first, second, agent = pair
    proxy = start(more="; fallback primary")
    agent.say(pg1=(first, "primary"))
    until(lambda: reader_name(proxy) == "pg1")


def reader_name(proxy):
    with contextlib.closing(connect(proxy.read)) as session:
        return cluster_name(session)


def test_the_agent_may_die_without_harm(pair, proxy):
    first, second, agent = pair
    session = connect(proxy.write)
    agent.close()
    time.sleep(0.5)
    assert cluster_name(session) == "pg1"
    with contextlib.closing(connect(proxy.write)) as other:
        assert cluster_name(other) == "pg1"


def test_nonsense_is_refused(pair, proxy):
    for nonsense in (b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\7abc", b"\x16\x03\x01\2\0\1", 2 * b"\0\0\0\x08\4\xd2\x16\x2f"):
        with contextlib.closing(socket.create_connection(("127.0.0.1", proxy.write))) as client:
            client.sendall(nonsense)
            client.settimeout(30)
            with contextlib.suppress(ConnectionResetError):
                answer = b"".join(iter(lambda: client.recv(1000), b""))
                assert answer.removeprefix(b"N")[:1] in (b"", b"E"), answer


def test_admin_tells_who_is_primary(pair, proxy):
    with contextlib.closing(connect(proxy.write)) as session:
        assert cluster_name(session) == "pg1"
    until(lambda: roles(proxy) == {"pg1/postgres": "primary", "pg2/postgres": "standby"})


def roles(proxy):
    with urllib.request.urlopen("http://127.0.0.1:%d/upstreams" % proxy.admin, timeout=30) as answer:
        pool = json.load(answer)["pools"][0]
    return {instance["id"]: instance["role"] for instance in pool["instances"]}
