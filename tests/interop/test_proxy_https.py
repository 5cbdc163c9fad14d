"""TLS that ends at rollcall-proxy's http and tcp listeners, and TLS anew to instances: curl, openssl, sslscan, Python's ssl."""
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
import warnings

import pytest
from patience import patient
from proxy_lab import SWITCH, Client, echo, field, free_port, get, lab, ok, read_request, says, websocket  # noqa: F401
from proxy_pki import Authority, SecureClient, sealed, serving

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("strangers"))


@pytest.fixture(scope="module")
def ours(house):
    return house.issue("app.test")


def pair(made):
    return f"certificate {made[0]} key {made[1]}"


def tls(*made, more=""):
    return f"tls {{ {'; '.join(pair(each) for each in made)}; {more} }}"


def metric(proxy, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin}/metrics", timeout=patient(30)).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def until(claim, within=30):
    end = time.monotonic() + patient(within)
    while not claim():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.05)


def refused(proxy, context, name="app.test"):
    with pytest.raises((ssl.SSLError, ConnectionError)) as caught:
        SecureClient(proxy.port, context, name)
    return str(caught.value)


# --- towards clients ---

def test_requests_pass_with_the_facts_about_them(lab, house, ours):
    backend = lab.backend(echo())
    proxy = lab.proxy(backend, listener=tls(ours))
    client = SecureClient(proxy.port, house.trusting())
    for number in range(20):
        assert client.ask(get(f"/{number}")).body == f"echo|GET /{number} HTTP/1.1|0".encode()
    assert field(backend.heads[0], "x-forwarded-proto") == ["https"]
    assert field(backend.heads[0], "x-forwarded-port") == [str(proxy.port)]
    assert backend.connections == 1
    assert client.ask(get("/", "Connection: close\r\n")).status == 200
    assert client.sock.recv(1) == b""  # an orderly end: without close_notify this raises


def test_pipelined_requests_are_answered_in_order(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo("a")), lab.backend(echo("b")), listener=tls(ours))
    client = SecureClient(proxy.port, house.trusting())
    client.send("".join(get(f"/{number}") for number in range(500)))
    for number in range(500):
        assert f"GET /{number} HTTP".encode() in client.response().body


def curl(proxy, *words, name="app.test"):
    return subprocess.run(["curl", "-sS", "--http1.1", "--resolve", f"{name}:{proxy.port}:127.0.0.1", *words], capture_output=True,
                          timeout=patient(120), check=False)


@pytest.mark.parametrize("server_tls", [False, True])
def test_large_bodies_are_whole_both_ways(lab, house, ours, tmp_path, server_tls):
    size = 64 << 20
    block = os.urandom(1 << 20)

    def serve(stream, backend):
        head = stream.head()
        if head.startswith("GET"):
            stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
            for _ in range(size >> 20):
                stream.send(block)
            return
        total, digest = 0, hashlib.sha256()
        while total < size:
            piece = stream.rest or stream.sock.recv(1 << 18)
            stream.rest = b""
            total += len(piece)
            digest.update(piece)
        stream.send(ok(digest.hexdigest(), "Connection: close\r\n"))

    backend = lab.backend(sealed(serve, serving(ours)) if server_tls else serve)
    pool = f"server_tls {{ ca {house.ca}; name app.test }}" if server_tls else ""
    proxy = lab.proxy(backend, listener=tls(ours), pool=pool)
    url = f"https://app.test:{proxy.port}/"
    want = hashlib.sha256(block * (size >> 20)).hexdigest()
    down = curl(proxy, "--cacert", house.ca, url)
    assert hashlib.sha256(down.stdout).hexdigest() == want, down.stderr
    (tmp_path / "body").write_bytes(block * (size >> 20))
    up = curl(proxy, "--cacert", house.ca, "-T", tmp_path / "body", "-H", "Expect:", url)
    assert up.stdout.decode() == want, up.stderr


def test_versions_are_1_2_and_1_3_or_1_3_alone(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours))
    for version, name in ((TLS_1_2, "TLSv1.2"), (TLS_1_3, "TLSv1.3")):
        client = SecureClient(proxy.port, house.trusting(minimum_version=version, maximum_version=version))
        assert client.sock.version() == name and client.ask(get()).status == 200
    old = house.trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    refused(proxy, old)


def test_a_minimum_of_1_3_is_kept(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours, more="minimum 1.3"))
    refused(proxy, house.trusting(maximum_version=TLS_1_2))
    assert SecureClient(proxy.port, house.trusting()).sock.version() == "TLSv1.3"


def shown(proxy, context, name):
    client = SecureClient(proxy.port, context, name)
    assert client.ask(f"GET / HTTP/1.1\r\nHost: {name or 'x'}\r\n\r\n").status == 200
    return client.subject


def test_the_certificate_is_that_of_the_name(lab, house, ours):
    some = [ours, house.issue("api.test", "DNS:api.test,DNS:www.api.test"), house.issue("*.api.test")]
    proxy = lab.proxy(lab.backend(echo()), listener=tls(*some))
    trusting = house.trusting(check_hostname=False)
    for name, want in (("app.test", "app.test"), ("api.test", "api.test"), ("WWW.api.test", "api.test"), ("x.api.test", "any.api.test"),
                       (None, "app.test")):
        assert shown(proxy, trusting, name) == want, name
    for name in ("a.b.api.test", "elsewhere.test"):  # the first one, for want of a better
        assert SecureClient(proxy.port, trusting, name).subject == "app.test"


def test_strict_names_are_refused_when_there_is_none_for_them(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours, more="sni strict"))
    trusting = house.trusting(check_hostname=False)
    assert shown(proxy, trusting, "app.test") == "app.test"
    assert "unrecognized" in refused(proxy, trusting, "elsewhere.test").lower()
    assert "unrecognized" in refused(proxy, trusting, None).lower()


def test_rsa_and_ecdsa_stand_side_by_side(lab, house, ours):
    both = [house.issue("other.test"), ours, house.issue("app.test", kind="rsa")]
    proxy = lab.proxy(lab.backend(echo()), listener=tls(*both))
    for cipher in ("ECDSA", "RSA"):
        context = house.trusting(maximum_version=TLS_1_2)
        context.set_ciphers(f"ECDHE-{cipher}-AES128-GCM-SHA256")
        client = SecureClient(proxy.port, context)
        assert cipher in client.sock.cipher()[0] and client.ask(get()).status == 200


def test_protocols_are_agreed_on(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours))
    for offered, want in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)):
        context = house.trusting()
        if offered:
            context.set_alpn_protocols(offered)
        client = SecureClient(proxy.port, context)
        assert client.sock.selected_alpn_protocol() == want and client.ask(get()).status == 200
    strange = house.trusting()
    strange.set_alpn_protocols(["postgresql"])
    refused(proxy, strange)


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
def test_sessions_are_resumed_with_every_worker_and_after_a_reload(lab, house, ours, version):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours), workers=2)
    context = house.trusting(minimum_version=version, maximum_version=version)

    def ask(session=None):
        client = SecureClient(proxy.port, context, session=session)
        assert client.ask(get()).status == 200
        return client
    first = ask()
    assert not first.sock.session_reused
    session = first.sock.session
    for _ in range(20):  # the kernel spreads them over both workers
        again = ask(session)
        assert again.sock.session_reused
        if version == TLS_1_3:  # a ticket is good for one connection
            assert again.sock.session.id != session.id
        session = again.sock.session if version == TLS_1_3 else session
    reload(proxy)
    assert ask(session).sock.session_reused
    assert metric(proxy, 'rollcall_proxy_tls_handshakes_total{result="resumed"}') == 21


def reload(proxy, said="configuration reloaded"):
    before = proxy.said().count(said)
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: proxy.said().count(said) > before)


def test_a_session_of_one_listener_is_none_of_another(lab, house, ours):
    other = free_port()
    top = f"pool w {{ static 127.0.0.1:1 }}\nlisten http 127.0.0.1:{other} {{ {tls(ours)}\n pool w }}"
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours), top=top)
    context = house.trusting()
    client = SecureClient(proxy.port, context)
    client.ask(get())
    stranger = SecureClient(other, context, session=client.sock.session)
    assert not stranger.sock.session_reused
    assert SecureClient(proxy.port, context, session=client.sock.session).sock.session_reused


def test_certificates_change_under_load_without_a_failed_request(lab, house, tmp_path):
    here = tmp_path / "here.crt", tmp_path / "here.key"

    def put(made):
        for place, source in zip(here, made):
            place.write_bytes(source.read_bytes())
    put(house.issue("app.test", "DNS:app.test,DNS:old.test"))
    proxy = lab.proxy(lab.backend(echo()), listener=tls(here), workers=2)
    context, results, over = house.trusting(), [], threading.Event()

    def load(kept):
        client = None
        while not over.is_set():
            try:
                client = client or SecureClient(proxy.port, context)
                results.append(client.ask(get()).status)
            except Exception as problem:  # noqa: BLE001: any of them is a failed request
                results.append(repr(problem))
            if not kept:
                client.close()
                client = None
    running = [threading.Thread(target=load, args=(kept,), daemon=True) for kept in (True, True, False, False)]
    stays = SecureClient(proxy.port, context)
    for thread in running:
        thread.start()
    try:
        put(house.issue("app.test", "DNS:app.test,DNS:new.test"))
        reload(proxy)
        names = [name for _, name in SecureClient(proxy.port, context).sock.getpeercert()["subjectAltName"]]
        assert names == ["app.test", "new.test"]
        here[1].write_bytes(house.issue("third.test")[1].read_bytes())
        reload(proxy, "reload refused")
        assert f"key {here[1]}: does not belong to certificate {here[0]}" in proxy.said()
        here[0].unlink()
        reload(proxy, "No such file")
        SecureClient(proxy.port, context).close()  # the former pair goes on
        until(lambda: len(results) > 50)
    finally:
        over.set()
        for thread in running:
            thread.join(patient(30))
    assert set(results) == {200}
    assert stays.ask(get()).status == 200


@pytest.mark.parametrize("what", ["nothing", "half a hello", "one byte"])
def test_slow_handshakes_are_ended_in_time(lab, ours, what):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours, more="limit 300ms"))
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="app.test").do_handshake()
    text = hello.read()
    client = Client(proxy.port)
    client.send({"nothing": b"", "half a hello": text[:len(text) // 2], "one byte": text[:1]}[what])
    assert client.is_closed(patient(30))
    until(lambda: metric(proxy, 'rollcall_proxy_tls_handshakes_total{result="late"}') == 1)
    assert metric(proxy, 'rollcall_proxy_refusals_total') >= 1


def test_more_handshakes_than_allowed_wait_for_their_turn(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours, more="limit 3s; handshakes 2"))
    silent = [Client(proxy.port) for _ in range(2)]
    time.sleep(0.2)
    context, answered = house.trusting(), []

    def ask():
        client = SecureClient(proxy.port, context, timeout=patient(30))
        answered.append(client.ask(get()).status)
    running = [threading.Thread(target=ask, daemon=True) for _ in range(5)]
    for thread in running:
        thread.start()
    silent[0].close()  # a place is free
    for thread in running:
        thread.join(patient(30))
    assert answered == [200] * 5
    assert metric(proxy, "rollcall_proxy_tls_handshakes_queued_total") >= 1


GARBAGE = {"zeros": b"\0" * 100, "a record too long": b"\x16\x03\x01\xff\xff" + b"x" * 1000, "ssh": b"SSH-2.0-x\r\n",
           "SSL 2": b"\x80\x2e\x01\0\x02", "noise": random.Random(7).randbytes(300)}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_the_connection_and_nothing_else(lab, house, ours, garbage):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours))
    client = Client(proxy.port)
    with contextlib.suppress(ConnectionError):
        client.send(garbage)
        client.sock.shutdown(socket.SHUT_WR)
        client.until_end()
    assert SecureClient(proxy.port, house.trusting()).ask(get()).status == 200


def test_http_in_the_clear_is_told_where_it_is(lab, ours):
    answer = lab.proxy(lab.backend(echo()), listener=tls(ours)).ask(get())
    assert answer.status == 400 and b"TLS" in answer.body


def test_a_client_that_half_closes_is_answered(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours))
    client = SecureClient(proxy.port, house.trusting())
    client.send(get())
    with socket.socket(fileno=os.dup(client.sock.fileno())) as plain:
        plain.shutdown(socket.SHUT_WR)
    assert client.response().status == 200


def test_websockets_pass(lab, house, ours):
    proxy = lab.proxy(lab.backend(websocket), listener=tls(ours), route="upgrade websocket")
    client = SecureClient(proxy.port, house.trusting())
    client.send(get("/", SWITCH % "websocket"))
    assert "101" in client.head() and client.exactly(5) == b"hello"
    for size in (1, 1000, 100000):
        client.send(b"a" * size)
        assert client.exactly(size) == b"A" * size


def test_one_connection_does_not_serve_two_certificates(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(house.issue("app.test", "DNS:app.test,DNS:*.app.test"), house.issue("secret.test")))
    client = SecureClient(proxy.port, house.trusting())
    for host, want in (("app.test", 200), (f"app.test:{proxy.port}", 200), ("x.app.test", 200), ("secret.test", 421), ("app.test", 200)):
        assert client.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").status == want, host


def test_browsers_are_told_to_come_by_tls_only(lab, house, ours):
    listener = tls(ours, more="hsts 180d")
    client = SecureClient(lab.proxy(lab.backend(echo()), listener=listener).port, house.trusting())
    assert client.ask(get()).field("strict-transport-security") == ["max-age=15552000"]
    assert client.ask("TRACE / HTTP/1.1\r\nHost: app.test\r\n\r\n").field("strict-transport-security") == ["max-age=15552000"]
    own = lab.proxy(lab.backend(says(ok("x", "Strict-Transport-Security: max-age=1\r\n"))), listener=listener)
    assert SecureClient(own.port, house.trusting()).ask(get()).field("strict-transport-security") == ["max-age=1"]


def test_the_end_of_certificates_is_counted_down_and_warned_of(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours, house.issue("soon.test", days=3), house.issue("gone.test", days=-1)))
    family = f'rollcall_proxy_certificate_expires_seconds{{listener="127.0.0.1:{proxy.port}",name="%s"'
    assert 29 * 86400 < metric(proxy, family % "app.test") < 31 * 86400
    assert 0 < metric(proxy, family % "soon.test") <= 3 * 86400 and metric(proxy, family % "gone.test") < 0
    said = proxy.said()
    assert re.search("soon.test\\) ends in [23] days", said) and "has ended: " in said and "app.test)" not in said


def test_a_scanner_finds_nothing_weak(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours, house.issue("app.test", kind="rsa")))
    said = subprocess.run(["sslscan", "--no-colour", f"127.0.0.1:{proxy.port}"], capture_output=True, text=True, timeout=patient(120), check=True).stdout
    for weak in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
        assert re.search(rf"{weak}\s+disabled", said), said
    for good in ("TLSv1.2", "TLSv1.3"):
        assert re.search(rf"{good}\s+enabled", said), said
    assert "Compression enabled" not in said and "renegotiation not supported" in said.lower()
    ciphers = re.findall(r"(?:Preferred|Accepted)\s+TLSv1\.\d\s+(\d+) bits\s+(\S+)", said)
    assert ciphers and all(int(bits) >= 128 for bits, _ in ciphers)
    assert all(name.startswith(("TLS_AES", "TLS_CHACHA20", "ECDHE-")) and ("GCM" in name or "CHACHA20" in name) for _, name in ciphers), ciphers


@pytest.mark.parametrize("wanted", ["required", "optional"])
def test_clients_are_asked_for_a_certificate(lab, house, strangers, ours, wanted):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours, more=f"client_ca {strangers.ca} {wanted}"))

    def answer(*own, version=TLS_1_2):  # in TLS 1.3 the client hears of it later
        context = house.trusting(maximum_version=version)
        if own:
            context.load_cert_chain(*map(str, own))
        return SecureClient(proxy.port, context).ask(get()).status
    assert answer(*strangers.issue("client")) == answer(*strangers.issue("client"), version=TLS_1_3) == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        answer(*house.issue("client"))
    if wanted == "optional":
        assert answer() == 200
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            answer()


def test_the_log_tells_version_and_name(lab, house, ours):
    proxy = lab.proxy(lab.backend(echo()), listener=tls(ours))
    SecureClient(proxy.port, house.trusting()).ask(get())
    (line,) = proxy.logged(1)
    assert '"TLSv1.3"' in line and '"sni":"app.test"' in line.replace(": ", ":")


# --- towards instances ---

def far(house, name="app.test", ca=None):
    return f"server_tls {{ ca {ca or house.ca}; name {name} }}"


def test_instances_are_verified_and_their_connections_kept(lab, house, ours):
    backend = lab.backend(sealed(echo(), serving(ours)))
    proxy = lab.proxy(backend, pool=far(house))
    client = proxy.client()
    for number in range(20):
        assert client.ask(get(f"/{number}")).status == 200
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert client.response().body.endswith(b"|3")
    assert backend.connections == 1


def test_an_address_is_verified_where_no_name_is_given(lab, house, ours):
    good = lab.backend(sealed(echo(), serving(house.issue("numbered", "IP:127.0.0.1"))))
    assert lab.proxy(good, pool=f"server_tls {{ ca {house.ca} }}").ask(get()).status == 200
    bad = lab.backend(sealed(echo(), serving(ours)))
    assert b"IP address mismatch" in lab.proxy(bad, pool=f"server_tls {{ ca {house.ca} }}").ask(get()).body


def plainly(stream, backend):
    stream.more()
    stream.send("HTTP/1.1 400 no\r\n\r\n")
    stream.until_end()


@pytest.mark.parametrize("fault, why", [("name", "hostname mismatch"), ("ended", "certificate has expired"), ("stranger", "unable to get local issuer"),
                                        ("itself", "self-signed certificate"), ("plain", "wrong version number")])
def test_instances_that_are_not_who_they_should_be_get_nothing(lab, house, strangers, ours, fault, why):
    shows = {"name": house.issue("other.test"), "ended": house.issue("app.test", days=-1), "stranger": strangers.issue("app.test"),
             "itself": (strangers.ca, strangers.key)}
    backend = lab.backend(sealed(echo(), serving(shows[fault])) if fault in shows else plainly)
    proxy = lab.proxy(backend, pool=far(house))
    answer = proxy.ask(get())
    assert answer.status == 502 and why in answer.body.decode()
    assert [head for head in backend.heads if "GET" in head] == []
    assert re.search(f"TLS with instance .* of pool web came to nothing: .*{why}", proxy.said())
    upstreams = urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin}/upstreams", timeout=patient(30)).read().decode()
    assert re.search(f'"tls_problem": "[^"]*{why}', upstreams)


def test_another_instance_is_tried_even_for_what_is_done_once(lab, house, strangers, ours):
    bad, good = lab.backend(sealed(echo("bad"), serving(strangers.issue("app.test")))), lab.backend(sealed(echo("good"), serving(ours)))
    proxy = lab.proxy(bad, good, pool=far(house), route="retry { attempts 3 }")
    for _ in range(6):
        answer = proxy.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert answer.status == 200 and answer.body.startswith(b"good")


def test_sessions_with_instances_are_resumed(lab, house, ours):
    reused = []

    def serve(stream, backend):
        reused.append(stream.sock.session_reused)
        read_request(stream, backend)
        stream.send(ok("x", "Connection: close\r\n"))
        with contextlib.suppress(OSError):
            stream.sock.unwrap()
    proxy = lab.proxy(lab.backend(sealed(serve, serving(ours))), pool=far(house))
    for _ in range(5):
        assert proxy.ask(get()).status == 200
    assert reused == [False, True, True, True, True]


@pytest.mark.parametrize("says_so", [True, False])
def test_a_body_that_ends_with_its_connection_must_be_ended_in_words(lab, house, ours, says_so):
    def serve(stream, backend):
        read_request(stream, backend)
        stream.send("HTTP/1.1 200 OK\r\n\r\n" + "x" * 1000)
        if says_so:
            with contextlib.suppress(OSError):
                stream.sock.unwrap()
        else:
            with socket.socket(fileno=os.dup(stream.sock.fileno())) as plain:
                plain.shutdown(socket.SHUT_RDWR)
    proxy = lab.proxy(lab.backend(sealed(serve, serving(ours))), pool=far(house))
    if says_so:
        assert proxy.ask(get()).body == b"x" * 1000
    else:
        with pytest.raises(EOFError):
            proxy.ask(get())


# --- tcp ---

def talk(client):
    for size in (1, 1000, 200000):
        client.send(b"a" * size)
        assert client.exactly(size) == b"A" * size


def shout(stream, backend):
    stream.send("hello")
    while data := stream.sock.recv(65536):
        stream.send(data.upper())


@pytest.mark.parametrize("client_tls", [True, False])
@pytest.mark.parametrize("server_tls", [True, False])
def test_tcp_is_sealed_on_either_side(lab, house, ours, client_tls, server_tls):
    backend = lab.backend(sealed(shout, serving(ours)) if server_tls else shout)
    port = free_port()
    top = f"pool t {{ static 127.0.0.1:{backend.port}; {far(house) if server_tls else ''} }}\n" \
          f"listen tcp 127.0.0.1:{port} {{ pool t; {tls(ours) if client_tls else ''} }}"
    lab.proxy(lab.backend(echo()), top=top)
    client = SecureClient(port, house.trusting()) if client_tls else Client(port)
    assert client.exactly(5) == b"hello"  # the server speaks first
    talk(client)
    if client_tls:
        client.sock = client.sock.unwrap()  # both say that no more comes
    client.close()


def test_tcp_goes_to_another_instance_when_one_is_a_stranger(lab, house, strangers, ours):
    bad, good = lab.backend(sealed(shout, serving(strangers.issue("app.test")))), lab.backend(sealed(shout, serving(ours)))
    port = free_port()
    top = f"pool t {{ static 127.0.0.1:{bad.port}\n static 127.0.0.1:{good.port}\n {far(house)} }}\nlisten tcp 127.0.0.1:{port} {{ pool t }}"
    proxy = lab.proxy(lab.backend(echo()), top=top)
    for _ in range(4):
        client = Client(port)
        assert client.exactly(5) == b"hello"
        talk(client)
        client.close()
    assert "came to nothing: unable to get local issuer certificate" in proxy.said()


# --- what is wrong is said before the start ---

@pytest.mark.parametrize("text, why", [
    ("tls { }", "needs \"certificate FILE key FILE\""),
    ("tls { certificate CRT }", "has no key"),
    ("tls { certificate CRT key /nowhere }", "key /nowhere: No such file"),
    ("tls { certificate /nowhere key KEY }", "certificate /nowhere: No such file"),
    ("tls { certificate CRT key OTHER }", "does not belong to certificate"),
    ("tls { certificate CRT key KEY; hsts soon }", "such as 180d"),
    ("tls { certificate CRT key KEY; minimum 1.1 }", 'unknown "1.1"'),
    ("tls { certificate CRT key KEY; client_ca /nowhere required }", "client_ca /nowhere: No such file"),
])
def test_what_is_wrong_is_said_before_the_start(lab, house, ours, text, why):
    other = house.issue("other.test")[1]
    text = text.replace("CRT", str(ours[0])).replace("KEY", str(ours[1])).replace("OTHER", str(other))
    with pytest.raises(RuntimeError, match=re.escape(why)):
        lab.proxy(1, listener=text)
