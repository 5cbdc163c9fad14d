"""rollcall-proxy follows the lease of a PostgreSQL cluster: real servers, an agent that a test speaks for.

pg1 has been the primary all along and pg2 its standby; what the lease says of them is the test's word alone.
"""
import contextlib
import os
import pathlib
import selectors
import signal
import socket
import struct
import threading
import time

import psycopg2
import pytest
from patience import patient
from proxy_lab import free_port, rss_slack
from proxy_pg import (USER, ask, cluster_name, connect, fails, in_background, in_clear, keepers,  # noqa: F401
                      last_word, name_through, proxy, psql, servers, start, startup, until)


def notes(server, text):
    with contextlib.closing(connect(server.port)) as own:
        return ask(own, "SELECT count(*) FROM note WHERE text = '%s'" % text)


def test_writes_go_to_the_holder_and_reads_to_who_may_be_read(proxy):
    assert name_through(proxy.write) == "pg1"
    assert name_through(proxy.read) == "pg2"


@pytest.mark.parametrize("change", ["holder", "term", "nobody", "not writable"])
def test_sessions_of_an_old_term_are_cut_at_once(change, servers, keepers, proxy):
    first, second = servers
    session = in_clear(proxy.write)
    reader = connect(proxy.read)
    assert cluster_name(session) == "pg1"
    if change == "holder":
        keepers.say(8, second, first, second)
    elif change == "term":
        keepers.say(8, first, first, second)
    elif change == "nobody":
        keepers.say(7, None, first, second)
    else:
        keepers.say(7, first, first, second, writable=False)
    assert "no longer the primary" in last_word(session)
    assert fails(session)
    if change != "holder":
        assert cluster_name(reader) == "pg2"
    assert proxy.figures()["cut_term"] == 1


def test_clients_are_held_until_the_holder_may_be_written(servers, keepers, proxy):
    keepers.say(8, servers[0], *servers, writable=False)
    until(lambda: proxy.figures()["term"] == 8)
    done, thread = in_background(lambda: name_through(proxy.write))
    until(lambda: proxy.figures()["waiting"] == 1)
    keepers.say(8, servers[0], *servers)
    thread.join(patient(30))
    assert done == ["pg1"]
    assert proxy.figures()["served"] == 1


def test_who_waits_in_vain_is_told(servers, keepers, start):
    proxy = start(write="max_waiting 1", pool="")
    keepers.say(8, None, *servers)
    until(lambda: proxy.figures()["term"] == 8)
    with contextlib.closing(socket.create_connection(("127.0.0.1", proxy.write))) as one:
        one.sendall(startup(USER))
        until(lambda: proxy.figures()["waiting"] == 1)
        with pytest.raises(psycopg2.OperationalError, match="too many wait"):
            in_clear(proxy.write)
    until(lambda: proxy.figures()["waiting"] == 0)


def test_an_announced_primary_that_refuses_is_tried_again(servers, keepers, proxy):
    class Nowhere:
        name, port = "pg3", free_port()

    keepers.say(8, Nowhere, Nowhere, *servers)
    until(lambda: proxy.figures()["term"] == 8)
    done, thread = in_background(lambda: name_through(proxy.write))
    until(lambda: proxy.figures()["waiting"] == 1)
    time.sleep(0.3)
    assert not done
    keepers.say(9, servers[0], *servers)
    thread.join(patient(30))
    assert done == ["pg1"]


def test_a_term_never_goes_back(servers, keepers, proxy):
    keepers.say(9, servers[0], *servers)
    until(lambda: proxy.figures()["term"] == 9)
    session = connect(proxy.write)
    keepers.say(8, servers[1], *servers)
    until(lambda: proxy.figures()["stale_words"] > 0)
    assert proxy.figures()["term"] == 9
    assert proxy.figures()["holder"] == "pg1"
    keepers.say(9, servers[0], *servers)
    assert name_through(proxy.write) == "pg1"
    session.close()


# --- the proxy is cut from the store ---

def test_without_a_word_of_the_store_writing_sessions_end_and_come_back(keepers, proxy):
    session, reader = in_clear(proxy.write), connect(proxy.read)
    began = time.monotonic()
    keepers.cut()
    time.sleep(0.5)
    assert cluster_name(session) == "pg1", "the view still counts"
    assert "not known who is primary" in last_word(session)
    assert time.monotonic() - began > 0.9
    assert proxy.figures()["view"] == "lost" and proxy.figures()["cut_view"] == 1
    assert cluster_name(reader) == "pg2"
    done, thread = in_background(lambda: name_through(proxy.write))
    until(lambda: proxy.figures()["waiting"] == 1)
    keepers.mend()
    thread.join(patient(30))
    assert done == ["pg1"]


def test_sessions_stay_when_told_to(keepers, start):
    proxy = start(pool="view_loss keep; view_max 300ms")
    session = connect(proxy.write)
    keepers.cut()
    until(lambda: proxy.figures()["view"] == "lost")
    time.sleep(0.5)
    assert cluster_name(session) == "pg1"
    assert name_through(proxy.write) == "pg1"


def is_stopped(pid):
    """Every thread: the last may run on for a while on a busy machine."""
    folder = pathlib.Path(f"/proc/{pid}/task")
    return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in folder.iterdir())


def test_a_proxy_that_slept_forwards_nothing_of_before(servers, keepers, start):
    proxy = start(more="worker_threads 1")
    session = in_clear(proxy.write)
    assert cluster_name(session) == "pg1"
    proxy.process.send_signal(signal.SIGSTOP)
    until(lambda: is_stopped(proxy.process.pid))
    keepers.say(8, servers[1], *servers)
    query = b"INSERT INTO note (text) VALUES ('slept')\0"
    own = socket.socket(fileno=os.dup(session.fileno()))
    own.sendall(b"Q" + struct.pack(">I", 4 + len(query)) + query)
    time.sleep(2.5)
    proxy.process.send_signal(signal.SIGCONT)
    own.settimeout(30)
    with contextlib.suppress(ConnectionResetError):
        while own.recv(1000):
            pass
    own.close()
    assert notes(servers[0], "slept") == 0


# --- a crowd ---

def rss_kib(process):
    status = pathlib.Path("/proc/%d/status" % process.pid).read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def wait_for_all(clients, within):
    """The clients in the order in which they got a session; each goes as soon as it has it."""
    selector, order, heard = selectors.DefaultSelector(), [], {}
    for number, client in enumerate(clients):
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ, number)
    end = time.monotonic() + within
    while len(order) < len(clients) and time.monotonic() < end:
        for key, _ in selector.select(0.5):
            bytes_ = key.fileobj.recv(65536)
            heard[key.data] = heard.get(key.data, b"") + bytes_
            assert bytes_ and b"SFATAL" not in heard[key.data], heard[key.data]
            if heard[key.data].endswith(b"Z\0\0\0\x05I"):
                order.append(key.data)
                key.fileobj.sendall(b"X\0\0\0\x04")
                selector.unregister(key.fileobj)
                key.fileobj.close()
    return order


class Counter:
    """Greets whoever comes like PostgreSQL, one after the other, and notes their names."""

    name = "pg9"

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2000)
        self.port, self.names, self.open = self.listener.getsockname()[1], [], []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.open.append(client)
                size = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))[0]
                fields = client.recv(size - 4, socket.MSG_WAITALL)[4:].split(b"\0")
                self.names.append(int(fields[fields.index(b"user") + 1]))
                client.sendall(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")

    def close(self):
        self.listener.close()
        for client in self.open:
            client.close()


def hold(proxy, count, name):
    clients = []
    for number in range(count):
        clients.append(socket.create_connection(("127.0.0.1", proxy.write)))
        clients[-1].sendall(startup(name(number)))
    until(lambda: proxy.figures()["waiting"] == count)
    return clients


def test_a_thousand_held_clients_are_let_go_in_order_and_not_all_at_once(servers, keepers, start):
    with contextlib.closing(Counter()) as counter:
        proxy = start(more="worker_threads 1")
        before = rss_kib(proxy.process)
        keepers.say(8, None, *servers)
        until(lambda: proxy.figures()["term"] == 8)
        clients = hold(proxy, 1000, str)
        grown = rss_kib(proxy.process) - before
        assert grown < 16 * 1024 * rss_slack(), "1000 held clients take %d KiB" % grown
        keepers.say(9, counter, counter)
        began = time.monotonic()
        assert len(wait_for_all(clients, 90)) == 1000, proxy.figures()
        took = time.monotonic() - began
        print("1000 held clients: %.1f s, %d KiB" % (took, grown))
        assert took > 3, "the ramp of 200/s was not kept"
        assert counter.names == list(range(1000))
    figures = proxy.figures()
    assert figures["served"] == 1000 and figures["expired"] == 0 and figures["waiting"] == 0


def test_held_clients_of_two_workers_are_all_served_by_a_real_server(servers, keepers, start):
    proxy = start(more="worker_threads 2")
    keepers.say(8, None, *servers)
    until(lambda: proxy.figures()["term"] == 8)
    clients = hold(proxy, 300, lambda _: USER)
    keepers.say(9, servers[0], *servers)
    assert len(wait_for_all(clients, 90)) == 300, proxy.figures()


def test_a_thousand_held_writers_are_served_while_others_have_a_server_or_wait_for_another(servers, keepers, start):
    class Second(Counter):
        name = "pg8"

    with contextlib.closing(Counter()) as counter, contextlib.closing(Second()) as second:
        proxy = start(more="worker_threads 2", read="max_waiting 20")
        keepers.say(8, None, second)
        until(lambda: proxy.figures()["term"] == 8)
        readers = [socket.create_connection(("127.0.0.1", proxy.read)) for _ in range(300)]
        for number, reader in enumerate(readers):
            reader.sendall(startup(str(number)))
        until(lambda: proxy.figures()["open"] == 300)
        keepers.say(8, None, (second, {"ReadOk": False}))
        until(lambda: proxy.roles()["pg8"] != "standby")
        late = [socket.create_connection(("127.0.0.1", proxy.read)) for _ in range(30)]
        for number, reader in enumerate(late):
            reader.sendall(startup(str(number)))
        until(lambda: proxy.figures()["refused"] == 10)
        clients = [socket.create_connection(("127.0.0.1", proxy.write)) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(startup(str(number)))
        until(lambda: proxy.figures()["waiting"] == 1020)
        keepers.say(9, counter, counter, (second, {"ReadOk": False}))
        assert len(wait_for_all(clients, 90)) == 1000, proxy.figures()
        figures = proxy.figures()
        assert figures["served"] == 1000 and figures["refused"] == 10 and figures["expired"] == 0
        for client in readers + late:
            client.close()
        until(lambda: proxy.figures()["waiting"] == 0)


# --- cancel ---

def sleeps(server, query="SELECT pg_sleep(60)"):
    with contextlib.closing(connect(server.port)) as own:
        return ask(own, f"SELECT count(*) FROM pg_stat_activity WHERE query = '{query}' AND state = 'active'") == 1


@pytest.mark.parametrize("tls", ["disable", "require"])
def test_cancel_reaches_the_server_of_its_session(tls, servers, proxy):
    with contextlib.closing(connect(proxy.write, sslmode=tls)) as session:
        done, thread = in_background(lambda: ask(session, "SELECT pg_sleep(60)"))
        until(lambda: sleeps(servers[0]))
        session.cancel()
        thread.join(patient(30))
        assert isinstance(done[0], psycopg2.extensions.QueryCanceledError)
    assert proxy.figures()["cancels"] >= 1


def cancel(port, pid, key):
    with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall(struct.pack(">IIII", 16, 80877102, pid, key))
        client.settimeout(30)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_cancel_of_a_session_that_is_gone_goes_nowhere(proxy):
    cancel(proxy.write, 1, 2)
    figures = proxy.figures()
    assert figures["cancels"] == 0 and figures["cancels_lost"] == 1


def greeted(port, user=USER):
    """A session in the clear and the key that its server gave it."""
    client = socket.create_connection(("127.0.0.1", port), timeout=patient(30))
    client.sendall(startup(user))
    answer = b""
    while not answer.endswith(b"Z\0\0\0\x05I"):
        more = client.recv(1000)
        assert more, answer
        answer += more
    at = answer.index(b"K\0\0\0\x0c")
    return client, *struct.unpack(">II", answer[at + 5:at + 13])


def test_cancel_of_a_session_of_a_gone_term_goes_to_no_server(servers, keepers, proxy):
    client, pid, key = greeted(proxy.write)
    keepers.say(8, servers[0], *servers)
    until(lambda: proxy.figures()["cut_term"] == 1)
    with contextlib.closing(in_clear(proxy.write)), contextlib.closing(client):
        cancel(proxy.write, pid, key)
        figures = proxy.figures()
    assert figures["cancels"] == 0 and figures["cancels_lost"] == 1


def test_cancel_may_be_denied(servers, start):
    proxy = start(write="cancel deny")
    with contextlib.closing(in_clear(proxy.write)) as session:
        done, thread = in_background(lambda: ask(session, "SELECT 7 FROM pg_sleep(2)"))
        until(lambda: sleeps(servers[0], "SELECT 7 FROM pg_sleep(2)"))
        session.cancel()
        thread.join(patient(30))
        assert done == [7]
    figures = proxy.figures()
    assert figures["cancels"] == 0 and figures["cancels_denied"] == 1


def test_only_so_many_cancel_requests_go_on_in_a_second(start):
    proxy = start(write="cancel_rate 1", more="worker_threads 1")
    client, pid, key = greeted(proxy.write)
    began = time.monotonic()
    with contextlib.closing(client):
        for _ in range(20):
            cancel(proxy.write, pid, key)
        until(lambda: proxy.figures()["cancels"] + proxy.figures()["cancels_denied"] == 20)
        figures, took = proxy.figures(), time.monotonic() - began
    assert 1 <= figures["cancels"] <= took + 2
    assert figures["cancels_denied"] > 0


WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
INSERT = "INSERT INTO note (text) VALUES ('unsure')"


@contextlib.contextmanager
def no_standby_that_confirms(server):
    with contextlib.closing(connect(server.port)) as own:
        ask(own, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        ask(own, "SELECT pg_reload_conf()")
        try:
            until(lambda: ask(own, "SHOW synchronous_standby_names") == "nobody")
            time.sleep(0.5)  # the flag that sessions look at follows later
            yield own
        finally:
            ask(own, "SET synchronous_commit = off")
            ask(own, "ALTER SYSTEM RESET synchronous_standby_names")
            ask(own, "SELECT pg_reload_conf()")


def test_a_cancelled_commit_that_no_standby_confirmed_is_not_told_as_done(servers, proxy):
    with no_standby_that_confirms(servers[0]) as own:
        session = in_clear(proxy.write)
        done, thread = in_background(lambda: ask(session, INSERT))
        until(lambda: ask(own, WAITS) == 1)
        session.cancel()
        thread.join(patient(30))
        assert isinstance(done[0], psycopg2.Error), done
    assert proxy.figures()["cut_commit"] == 1


def test_the_client_is_told_why_its_commit_is_in_doubt(servers, proxy):
    with no_standby_that_confirms(servers[0]) as own:
        done, thread = in_background(lambda: psql(proxy.write, INSERT, PGUSER=USER, PGSSLMODE="disable"))
        until(lambda: ask(own, WAITS) == 1)
        ask(own, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        thread.join(patient(30))
        assert done[0].returncode != 0
        assert "no standby has confirmed this commit" in done[0].stderr


# --- TLS ---

def test_tls_passes_through_with_its_channel_binding(proxy):
    out = psql(proxy.write, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()", PGUSER="scrammed",
               PGPASSWORD="secret", PGSSLMODE="require", PGCHANNELBINDING="require")
    assert out.stdout.strip() == "t|TLSv1.3", out.stderr


def test_tls_may_be_refused_by_the_listener_or_by_the_server(start):
    proxy = start(write="tls refuse")
    assert psql(proxy.write, "SHOW cluster_name", PGUSER=USER, PGSSLMODE="prefer").stdout.strip() == "pg1"
    assert "does not support SSL" in psql(proxy.write, "SELECT 1", PGUSER=USER, PGSSLMODE="require").stderr
    assert psql(proxy.read, "SHOW cluster_name", PGUSER=USER, PGSSLMODE="prefer").stdout.strip() == "pg2"
    assert "does not support SSL" in psql(proxy.read, "SELECT 1", PGUSER=USER, PGSSLMODE="require").stderr


def test_hidden_sessions_are_cut_by_a_reset(servers, keepers, proxy):
    session = connect(proxy.write, sslmode="require")
    assert cluster_name(session) == "pg1"
    keepers.say(8, servers[1], *servers)
    until(lambda: fails(session))


def test_a_client_that_wants_tls_is_held_too(servers, keepers, proxy):
    keepers.say(8, None, *servers)
    until(lambda: proxy.figures()["term"] == 8)
    done, thread = in_background(lambda: name_through(proxy.write, sslmode="require"))
    until(lambda: proxy.figures()["waiting"] == 1)
    keepers.say(9, servers[0], *servers)
    thread.join(patient(30))
    assert done == ["pg1"]


def test_bytes_behind_a_request_for_tls_are_refused(proxy):
    with contextlib.closing(socket.create_connection(("127.0.0.1", proxy.write))) as client:
        client.sendall(struct.pack(">II", 8, 80877103) + startup(USER))
        client.settimeout(30)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            answer = b"".join(iter(lambda: client.recv(1000), b""))
        assert answer[:1] in (b"", b"E"), answer


# --- who may be read ---

def test_a_standby_that_may_not_be_read_is_left(servers, keepers, start):
    proxy = start(pool="read_drain 500ms")
    session = connect(proxy.read)
    keepers.say(7, servers[0], servers[0], (servers[1], {"ReadOk": False}))
    assert "this server leaves" in last_word(session)
    done, thread = in_background(lambda: name_through(proxy.read))
    until(lambda: proxy.figures()["waiting"] == 1)
    keepers.say(7, servers[0], *servers)
    thread.join(patient(30))
    assert done == ["pg2"]
    assert proxy.figures()["left"] == 1


def test_a_standby_comes_back_at_half_the_lag(servers, keepers, start):
    proxy = start(pool="max_lag_bytes 1000KiB; read_drain 100ms", read="fallback primary")

    def say(lag):
        keepers.say(7, servers[0], servers[0], (servers[1], {"LagBytes": lag * 1024}))

    say(900)
    until(lambda: name_through(proxy.read) == "pg2")
    say(1100)
    until(lambda: name_through(proxy.read) == "pg1")
    say(900)
    time.sleep(0.5)
    assert name_through(proxy.read) == "pg1"
    say(400)
    until(lambda: name_through(proxy.read) == "pg2")


def test_standbys_are_left_by_the_age_of_what_they_show(servers, keepers, start):
    proxy = start(pool="max_lag 10s; read_drain 300ms")

    def say(age_ms):
        keepers.say(7, servers[0], servers[0], (servers[1], {"LagMs": age_ms}))

    say(9000)
    session = connect(proxy.read)
    assert cluster_name(session) == "pg2"
    say(11000)
    assert "this server leaves" in last_word(session)
    say(6000)
    done, thread = in_background(lambda: name_through(proxy.read))
    until(lambda: proxy.figures()["waiting"] == 1)
    time.sleep(0.3)
    assert not done, "it comes back at half of the limit, not before"
    say(5000)
    thread.join(patient(30))
    assert done == ["pg2"]


def test_who_reads_stays_for_the_drain_and_for_good_if_the_standby_comes_back(servers, keepers, start):
    proxy = start(pool="read_drain 2s")
    session = connect(proxy.read)
    keepers.say(7, servers[0], servers[0], (servers[1], {"ReadOk": False}))
    until(lambda: proxy.roles()["pg2"] != "standby")
    assert cluster_name(session) == "pg2"
    keepers.say(7, servers[0], *servers)
    until(lambda: proxy.roles()["pg2"] == "standby")
    time.sleep(2.5)
    assert cluster_name(session) == "pg2"
    assert proxy.figures()["left"] == 0


def test_without_a_fallback_readers_wait_and_are_told(servers, keepers, start):
    proxy = start(read="fallback none; max_waiting 0")
    keepers.say(7, servers[0], servers[0], (servers[1], {"ReadOk": False}))
    until(lambda: proxy.roles()["pg2"] != "standby")
    with pytest.raises(psycopg2.OperationalError, match="no server is available, and too many wait"):
        in_clear(proxy.read)
    assert name_through(proxy.write) == "pg1"


def test_who_reads_from_the_primary_is_cut_like_a_writer(servers, keepers, start):
    proxy = start(read="fallback primary")
    keepers.say(7, servers[0], servers[0], (servers[1], {"ReadOk": False}))
    until(lambda: name_through(proxy.read) == "pg1")
    session = in_clear(proxy.read)
    keepers.say(8, None, servers[0], (servers[1], {"ReadOk": False}))
    assert "no longer the primary" in last_word(session)


def test_a_client_may_ask_for_a_standby_where_that_is_allowed(start):
    proxy = start(write="split on")

    def name(database, **more):
        with contextlib.closing(psycopg2.connect(host="127.0.0.1", port=proxy.write, user=USER, dbname=database,
                                                 connect_timeout=60, sslmode="disable", **more)) as session:
            return cluster_name(session)

    assert name("postgres") == "pg1"
    assert name("postgres@ro") == "pg2"
    assert name("postgres", options="-c rollcall.route=ro") == "pg2"
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        connect_to(start().write, "postgres@ro")


def connect_to(port, database):
    return psycopg2.connect(host="127.0.0.1", port=port, user=USER, dbname=database, connect_timeout=60,
                            sslmode="disable")


def test_a_reload_keeps_sessions_and_the_lease(servers, keepers, proxy):
    session = in_clear(proxy.write)
    with open(proxy.config, "a", encoding="utf-8") as file:
        file.write("listen postgres 127.0.0.1:%d { pool db; target primary }\n" % free_port())
    keepers.cut()  # what was heard before the reload still counts after it, and no longer than without it
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: "configuration reloaded" in proxy.config.with_suffix(".log").read_text())
    assert cluster_name(session) == "pg1"
    assert "not known who is primary" in last_word(session)
    keepers.mend()
    assert name_through(proxy.write) == "pg1"


def test_figures_tell_of_it(servers, keepers, proxy):
    session = in_clear(proxy.write)
    assert cluster_name(session) == "pg1"
    assert proxy.figures()["open"] == 1
    keepers.say(8, None, *servers)
    assert "no longer the primary" in last_word(session)
    done, thread = in_background(lambda: name_through(proxy.write, sslmode="disable"))
    until(lambda: proxy.figures()["waiting"] == 1)
    time.sleep(0.06)
    keepers.say(9, servers[0], *servers)
    thread.join(patient(30))
    assert done == ["pg1"]
    with contextlib.closing(socket.create_connection(("127.0.0.1", proxy.write))) as client:
        until(lambda: proxy.figures()["starting"] == 1)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        until(lambda: proxy.figures()["refused_start"] == 1)
    until(lambda: proxy.figures()["open"] == 0)
    figures = proxy.figures()
    assert {state: figures[state] for state in ("starting", "waiting", "connecting", "open", "cancelling")} == {
        "starting": 0, "waiting": 0, "connecting": 0, "open": 0, "cancelling": 0}
    assert figures["opened"] == 2 and figures["cut_term"] == 1 and figures["held"] == 1 and figures["served"] == 1
    assert sum(figures["waits"].values()) == 1 and figures["waits"]["10"] == figures["waits"]["50"] == 0
    instance = proxy.pool()["instances"][0]
    assert instance["id"] == "pg1" and instance["bytes_to"] > 100 and instance["bytes_from"] > 500
    text = proxy.page("/metrics")
    for line in ('rollcall_proxy_postgres_term{pool="db"} 9',
                 'rollcall_proxy_postgres_events_total{pool="db",event="opened"} 2',
                 'rollcall_proxy_postgres_sessions{pool="db",state="open"} 0',
                 'rollcall_proxy_postgres_wait_seconds_bucket{pool="db",le="0.05"} 0',
                 'rollcall_proxy_postgres_wait_seconds_bucket{pool="db",le="+Inf"} 1',
                 'rollcall_proxy_postgres_wait_seconds_count{pool="db"} 1',
                 'rollcall_proxy_postgres_to_instance_bytes_total{pool="db",instance="pg1"} %d' % instance["bytes_to"]):
        assert line in text.splitlines(), text
