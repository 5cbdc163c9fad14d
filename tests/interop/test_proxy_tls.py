"""TLS that ends at rollcall-proxy's PostgreSQL listeners, and TLS anew to the servers: real psql, real libpq."""
import contextlib
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import psycopg2
import pytest
from patience import patient
from proxy_lab import free_port, program
from proxy_pg import (USER, ask, cluster_name, connect, in_background, in_clear, keepers,  # noqa: F401
                      name_through, psql, servers, start, startup, until)

SSL_REQUEST = struct.pack(">II", 8, 80877103)


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=patient(60))


class Authority:
    """Makes certificates; its own is ca.crt."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key, self.certificate = folder / f"{name}.key", folder / f"{name}.crt"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 30, "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, names="DNS:localhost,IP:127.0.0.1", days=30):
        """(certificate, key); negative days: it has ended."""
        key, request, out = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        more = self.folder / f"{name}.ext"
        more.write_text(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", days, "-extfile", more, "-out", out)
        return out, key


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"), "house")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("strangers"), "strangers")


@pytest.fixture(scope="module")
def ours(house):
    return house.issue("proxy")


def tls(pair, more=""):
    return f"tls {{ certificate {pair[0]}; key {pair[1]}; {more} }}"


@pytest.fixture
def proxy(start, ours):
    return start(write=tls(ours), read=tls(ours))


def verified(proxy, text, authority, **more):
    return psql(proxy.write, text, PGUSER=USER, PGSSLMODE="verify-full", PGSSLROOTCERT=str(authority.certificate), **more)


# --- towards the client ---

def test_a_client_that_verifies_everything_is_served(house, proxy):
    assert verified(proxy, "SHOW cluster_name", house).stdout.strip() == "pg1"
    with contextlib.closing(connect(proxy.read, sslmode="verify-full", sslrootcert=str(house.certificate))) as session:
        assert cluster_name(session) == "pg2"
        text = ask(session, "SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300000) i")
        assert len(text) == 9600000
        assert ask(session, "SELECT length('%s')" % ("x" * 3000000)) == 3000000


def test_the_way_to_the_server_is_in_the_clear(house, proxy):
    out = verified(proxy, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", house)
    assert out.stdout.strip() == "f", out.stderr


def test_a_password_is_agreed_on_without_channel_binding_or_not_at_all(house, proxy):
    settings = {"PGPASSWORD": "secret", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(house.certificate)}
    out = psql(proxy.write, "SELECT current_user", PGUSER="scrammed", **settings)
    assert out.stdout.strip() == "scrammed", out.stderr
    out = psql(proxy.write, "SELECT 1", PGUSER="scrammed", PGCHANNELBINDING="require", **settings)
    assert "channel binding" in out.stderr


def test_a_client_that_trusts_others_goes_away(strangers, proxy):
    assert "certificate verify failed" in verified(proxy, "SELECT 1", strangers).stderr
    until(lambda: proxy.figures()["tls_failed"] == 1)
    assert "TLS with a client at 127.0.0.1 came to nothing" in proxy.said()


def test_a_certificate_that_has_ended_is_warned_of_and_refused_by_clients(house, start):
    proxy = start(write=tls(house.issue("ended", days=-1)))
    assert "the certificate of this listener has ended" in proxy.said()
    assert "certificate verify failed" in verified(proxy, "SELECT 1", house).stderr


def test_a_certificate_for_another_name_is_refused_by_clients(house, start):
    proxy = start(write=tls(house.issue("other", names="DNS:db.example.org")))
    assert "does not match host name" in verified(proxy, "SELECT 1", house).stderr


def test_who_does_not_ask_for_tls_is_refused_unless_that_is_allowed(ours, start):
    proxy = start(write=tls(ours), read=tls(ours, "optional on"))
    with pytest.raises(psycopg2.OperationalError, match="this listener wants TLS"):
        in_clear(proxy.write)
    assert name_through(proxy.read, sslmode="disable") == "pg2"
    assert name_through(proxy.read, sslmode="require") == "pg2"


def context(authority, **limits):
    made = ssl.create_default_context(cafile=str(authority.certificate))
    for name, value in limits.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("alpn", ["postgresql", "http/1.1", None])
def test_tls_may_begin_without_being_asked_for_by_who_names_the_protocol(alpn, house, proxy):
    made = context(house)
    if alpn:
        made.set_alpn_protocols([alpn])
    with contextlib.closing(socket.create_connection(("127.0.0.1", proxy.write), timeout=30)) as plain:
        if alpn == "http/1.1":
            with pytest.raises(ssl.SSLError, match="(?i)no application protocol"):
                made.wrap_socket(plain, server_hostname="localhost")
            return
        with made.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(startup(USER))
            answer = client.recv(1000)
            assert answer[:1] == (b"R" if alpn else b"E"), answer
            assert alpn or b"ALPN" in answer


def asked(proxy, timeout=30):
    plain = socket.create_connection(("127.0.0.1", proxy.write), timeout=timeout)
    plain.sendall(SSL_REQUEST)
    assert plain.recv(1) == b"S"
    return plain


def test_old_versions_are_refused(house, proxy):
    with contextlib.closing(asked(proxy)) as plain:
        old = context(house)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="localhost")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with contextlib.closing(asked(proxy)) as plain:
            with context(house, maximum_version=version, minimum_version=version).wrap_socket(
                    plain, server_hostname="localhost") as client:
                client.sendall(startup(USER))
                assert client.recv(1) == b"R"


def test_handshake_and_session_byte_by_byte(house, proxy):
    """As bytes come from a slow line: one at a time, in both directions."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(house).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.closing(asked(proxy)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def until_done(work):
            while True:
                try:
                    return work()
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        plain.sendall(bytes([byte]))
                    incoming.write(plain.recv(1))

        until_done(client.do_handshake)
        client.write(startup(USER))
        answer = b""
        while not answer.endswith(b"Z\0\0\0\5I"):
            answer += until_done(lambda: client.read(1))


@pytest.mark.parametrize("nonsense", [b"GET / HTTP/1.0\r\n\r\n", bytes(300), b"\x16\x03\x01\xff\xff" + bytes(70000),
                                      b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", startup(USER)],
                         ids=["http", "zeros", "a record too long", "no hello", "in the clear"])
def test_garbage_instead_of_a_handshake_ends_the_connection(nonsense, proxy):
    for begin in (lambda: asked(proxy), lambda: socket.create_connection(("127.0.0.1", proxy.write), timeout=30)):
        with contextlib.closing(begin()) as plain, contextlib.suppress(ConnectionError):
            plain.sendall(nonsense)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(1000):
                pass
    assert verified_again(proxy)


def verified_again(proxy):
    return name_through(proxy.write, sslmode="require") == "pg1"


def test_bytes_behind_the_request_and_tls_within_tls_are_refused(house, proxy):
    with contextlib.closing(socket.create_connection(("127.0.0.1", proxy.write), timeout=30)) as plain:
        plain.sendall(SSL_REQUEST + startup(USER))
        assert plain.recv(1000)[:1] == b"E"
    with contextlib.closing(asked(proxy)) as plain:
        with context(house).wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(SSL_REQUEST)
            assert b"TLS within TLS" in client.recv(1000)


@pytest.mark.parametrize("begun", ["nothing", "half a handshake", "no start-up packet"])
def test_who_is_slow_is_sent_away(begun, house, ours, start):
    proxy = start(write=tls(ours, "limit 500ms"))
    with contextlib.closing(asked(proxy)) as plain:
        if begun == "half a handshake":
            plain.sendall(b"\x16\x03\x01\x02\x00\x01")
        if begun == "no start-up packet":
            with context(house).wrap_socket(plain, server_hostname="localhost") as client:
                assert client.recv(1) == b""
        else:
            assert plain.recv(1) == b""
            until(lambda: proxy.figures()["tls_failed"] == 1)


def test_a_held_client_is_told_through_tls_why_it_waited_in_vain(servers, keepers, ours, house, start):
    proxy = start(write=tls(ours) + "; max_waiting 0")
    keepers.say(8, None, *servers)
    until(lambda: proxy.figures()["term"] == 8)
    assert "too many wait" in verified(proxy, "SELECT 1", house).stderr


def test_sessions_of_an_old_term_are_cut_with_words(servers, keepers, house, proxy):
    with contextlib.closing(asked(proxy)) as plain, context(house).wrap_socket(plain, server_hostname="localhost") as own:
        own.sendall(startup(USER))
        answer = b""
        while not answer.endswith(b"Z\0\0\0\5I"):
            answer += own.recv(1000)
        keepers.say(8, servers[1], *servers)
        assert b"no longer the primary" in own.recv(1000)
        assert own.recv(1) == b""
    assert proxy.figures()["cut_term"] == 1


WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_a_commit_that_no_standby_confirmed_is_not_told_as_done(servers, house, proxy):
    with contextlib.closing(connect(servers[0].port)) as own:
        ask(own, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        ask(own, "SELECT pg_reload_conf()")
        try:
            until(lambda: ask(own, "SHOW synchronous_standby_names") == "nobody")
            time.sleep(0.5)  # the flag that sessions look at follows later
            done, thread = in_background(lambda: verified(proxy, "INSERT INTO note (text) VALUES ('unsure')", house))
            until(lambda: ask(own, WAITS) == 1)
            ask(own, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            thread.join(patient(30))
            assert "no standby has confirmed this commit" in done[0].stderr, done
        finally:
            ask(own, "SET synchronous_commit = off")
            ask(own, "ALTER SYSTEM RESET synchronous_standby_names")
            ask(own, "SELECT pg_reload_conf()")
    assert proxy.figures()["cut_commit"] == 1


ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"


def sleeps(server):
    with contextlib.closing(connect(server.port)) as own:
        return ask(own, ASLEEP) == 1


def test_a_cancel_request_in_the_clear_reaches_the_server_of_its_session(servers, proxy):
    with contextlib.closing(connect(proxy.write, sslmode="require")) as session:
        done, thread = in_background(lambda: ask(session, "SELECT pg_sleep(60)"))
        until(lambda: sleeps(servers[0]))
        session.cancel()
        thread.join(patient(30))
        assert isinstance(done[0], psycopg2.extensions.QueryCanceledError)


def backend_key(answer):
    """(pid, key) out of a server's greeting."""
    at = answer.index(b"K\0\0\0\x0c")
    return answer[at + 5:at + 13]


def test_a_cancel_request_within_tls_does_too(servers, house, proxy):
    with contextlib.closing(asked(proxy)) as plain, context(house).wrap_socket(plain, server_hostname="localhost") as own:
        own.sendall(startup(USER))
        answer = b""
        while not answer.endswith(b"Z\0\0\0\5I"):
            answer += own.recv(1000)
        query = b"SELECT pg_sleep(60)\0"
        own.sendall(b"Q" + struct.pack(">I", 4 + len(query)) + query)
        until(lambda: sleeps(servers[0]))
        with contextlib.closing(asked(proxy)) as other, context(house).wrap_socket(
                other, server_hostname="localhost") as cancel:
            cancel.sendall(struct.pack(">II", 16, 80877102) + backend_key(answer))
            assert cancel.recv(1) == b""
        answer = b""
        while b"canceling statement" not in answer:
            answer += own.recv(1000)


# --- certificates come and go ---

def test_a_reload_takes_the_new_certificate_and_keeps_sessions(house, strangers, ours, start, tmp_path):
    pair = [tmp_path / "own.crt", tmp_path / "own.key"]
    for source, place in zip(ours, pair):
        shutil.copy(source, place)
    proxy = start(write=tls(pair))
    session = connect(proxy.write, sslmode="verify-full", sslrootcert=str(house.certificate))
    assert cluster_name(session) == "pg1"
    for source, place in zip(strangers.issue("later"), pair):
        shutil.copy(source, place)
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: "configuration reloaded" in proxy.said())
    assert cluster_name(session) == "pg1"
    until(lambda: verified(proxy, "SHOW cluster_name", strangers).stdout.strip() == "pg1")
    pair[1].write_text("no key\n")
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: "reload refused" in proxy.said())
    assert f"proxy.conf:7: key {pair[1]}: " in proxy.said()
    assert cluster_name(session) == "pg1"
    assert verified(proxy, "SHOW cluster_name", strangers).stdout.strip() == "pg1"


@pytest.mark.parametrize("listener, pool, wanted", [
    ("tls { certificate /nowhere.crt; key /nowhere.key }", "", "check.conf:2: certificate /nowhere.crt: No such file"),
    ("tls { certificate CRT; key CRT }", "", "check.conf:2: key "),
    ("tls { certificate CRT; key STRANGE }", "", "does not belong to certificate"),
    ("tls { certificate CRT }", "", 'needs "certificate FILE" and "key FILE"'),
    ("", "server_tls { ca /nowhere.crt }", "check.conf:1: ca /nowhere.crt: No such file"),
    ("", "server_tls { name x }", 'server_tls needs "ca FILE"'),
    ("", "server_tls { ca CRT }; probe_user x", "the probe of pool"),
])
def test_what_is_wrong_is_said_before_the_start(listener, pool, wanted, ours, strangers, tmp_path):
    config = tmp_path / "check.conf"
    text = f"pool db {{ static 127.0.0.1:1; {pool} }}\nlisten postgres 127.0.0.1:{free_port()} {{ pool db; {listener} }}\n"
    config.write_text(text.replace("CRT", str(ours[0])).replace("STRANGE", str(strangers.key)))
    out = subprocess.run([program(), "check", "-config", str(config)], capture_output=True, text=True, check=False, timeout=patient(60))
    assert out.returncode == 1 and wanted in out.stderr, out.stderr


# --- towards the server ---

@pytest.fixture
def secured(servers, house, tmp_path):
    """Gives pg1 a certificate of the house's; the former one is there again afterwards."""
    folder = servers[0].data.parent
    before = {name: (folder / name).read_bytes() for name in ("server.crt", "server.key")}

    def install(pair):
        for source, name in zip(pair, ("server.crt", "server.key")):
            (folder / name).write_bytes(source.read_bytes())
        with contextlib.closing(connect(servers[0].port, sslmode="disable")) as own:
            ask(own, "SELECT pg_reload_conf()")
        until(lambda: seen_by(servers[0].port) == ssl.PEM_cert_to_DER_cert(pair[0].read_text()))

    yield install
    for name, bytes_ in before.items():
        (folder / name).write_bytes(bytes_)
    with contextlib.closing(connect(servers[0].port, sslmode="disable")) as own:
        ask(own, "SELECT pg_reload_conf()")


def seen_by(port):
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with made.wrap_socket(plain) as client:
            return client.getpeercert(binary_form=True)


HOW = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def test_tls_goes_on_to_a_server_whose_certificate_is_verified(servers, house, ours, secured, start):
    secured(house.issue("pg1"))
    proxy = start(pool=f"server_tls {{ ca {house.certificate} }}", write=tls(ours, "optional on"))
    assert verified(proxy, HOW, house).stdout.strip() == "t|TLSv1.3"
    assert psql(proxy.write, HOW, PGUSER=USER, PGSSLMODE="disable").stdout.strip() == "t|TLSv1.3"
    with contextlib.closing(connect(proxy.write, sslmode="require")) as session:
        text = ask(session, "SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300000) i")
        assert len(text) == 9600000
        done, thread = in_background(lambda: ask(session, "SELECT pg_sleep(60)"))
        until(lambda: sleeps(servers[0]))
        session.cancel()
        thread.join(patient(30))
        assert isinstance(done[0], psycopg2.extensions.QueryCanceledError)


@pytest.mark.parametrize("flaw, wanted", [
    ("authority", "unable to get local issuer certificate"), ("ended", "certificate has expired"),
    ("address", "IP address mismatch"), ("name", "hostname mismatch"), ("none", "it offers none")])
def test_a_server_that_cannot_be_verified_is_not_used(flaw, wanted, servers, keepers, house, strangers, ours, secured,
                                                      start):
    name = ""
    if flaw == "authority":
        secured(strangers.issue("pg1"))
    elif flaw == "ended":
        secured(house.issue("pg1", days=-1))
    elif flaw == "address":
        secured(house.issue("pg1", names="IP:127.0.0.9"))
    elif flaw == "name":
        secured(house.issue("pg1"))
        name = "; name pg1.example.org"
    else:
        keepers.say(8, servers[1], *servers)
    proxy = start(pool=f"server_tls {{ ca {house.certificate}{name} }}", write=tls(ours))
    out = verified(proxy, "SELECT 1", house)
    assert "TLS with server pg" in out.stderr and wanted in out.stderr, out
    assert proxy.figures()["server_tls_failed"] == 1


def test_passwords_bound_to_another_certificate_are_refused_with_words(servers, house, ours, secured, start):
    secured(house.issue("pg1"))
    proxy = start(pool=f"server_tls {{ ca {house.certificate} }}", write=tls(ours))
    settings = {"PGUSER": "scrammed", "PGPASSWORD": "secret", "PGSSLMODE": "require"}
    for binding in ("prefer", "require"):
        out = psql(proxy.write, "SELECT 1", PGCHANNELBINDING=binding, **settings)
        assert "binds its password to the certificate that it sees" in out.stderr, out
    out = psql(proxy.write, "SELECT current_user", PGCHANNELBINDING="disable", **settings)
    assert out.stdout.strip() == "scrammed", out.stderr


def test_passwords_may_be_bound_when_both_show_one_certificate(house, ours, secured, start):
    secured(ours)
    proxy = start(pool=f"server_tls {{ ca {house.certificate} }}", write=tls(ours))
    out = psql(proxy.write, "SELECT current_user", PGUSER="scrammed", PGPASSWORD="secret", PGSSLMODE="require",
               PGCHANNELBINDING="require")
    assert out.stdout.strip() == "scrammed", out.stderr


def test_a_server_on_another_machine_is_not_spoken_to_in_the_clear(servers, keepers, ours, start):
    class Far:
        name, port, address = "pg1", servers[0].port, "192.0.2.1"

    proxy = start(write=tls(ours))
    keepers.say(8, Far, Far)
    until(lambda: proxy.figures()["term"] == 8)
    with pytest.raises(psycopg2.OperationalError, match="its pool needs server_tls"):
        connect(proxy.write, sslmode="require")


def test_many_at_once(house, proxy):
    """Sessions that come and go, some of them badly, leave nothing behind."""
    for round_ in range(3):
        sessions = [connect(proxy.write, sslmode="require") for _ in range(30)]
        assert {cluster_name(session) for session in sessions} == {"pg1"}
        for number, session in enumerate(sessions):
            if number % 3 == 0:
                with contextlib.closing(socket.socket(fileno=os.dup(session.fileno()))) as own:
                    own.shutdown(socket.SHUT_RDWR)
            session.close()
    until(lambda: proxy.pool()["instances"][0]["in_flight"] == 0)
