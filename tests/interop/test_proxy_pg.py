"""PostgreSQL through rollcall-proxy: two real servers, psql and psycopg2, a promotion by hand.

A small stand-in for an agent answers /v1/health/service/NAME with Consul's blocking queries, so a
test decides what the catalog says and when.
"""
import contextlib
import os
import socket
import subprocess
import time

import psycopg2
import pytest
from patience import patient
from pg_keepers import Catalog
from proxy_pg import (USER, Proxy, Server, ask, cluster_name, connect, fails, in_background, last_word, open_folder,
                      proxies, until)


@pytest.fixture
def folder():
    with open_folder() as path:
        yield path


@pytest.fixture
def pair(folder):
    """pg1 is primary, pg2 streams from it; the agent says so."""
    first, second, agent = Server(folder, "pg1"), Server(folder, "pg2"), Catalog()
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
    def make(probe="probe_user postgres", wait="20s", read=""):
        return Proxy(folder, pair[2].port, "from agent service postgres", pool=probe,
                     write=f"wait_for_primary {wait}", read="wait_for_primary 20s; " + read)

    with proxies(folder, make) as start_proxy:
        yield start_proxy


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
                         capture_output=True, text=True, check=True, timeout=patient(60))
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


def write_through(proxy):
    with contextlib.closing(connect(proxy.write)) as session:
        ask(session, "INSERT INTO note (text) VALUES ('late')")
        return cluster_name(session)


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
    until(lambda: set(proxy.roles()) == {"pg2/postgres"})
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
    until(lambda: set(proxy.roles()) == {"pg2/postgres"})
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
    proxy = start(read="fallback primary")
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
    until(lambda: proxy.roles() == {"pg1/postgres": "primary", "pg2/postgres": "standby"})
