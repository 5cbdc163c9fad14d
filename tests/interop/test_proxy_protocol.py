"""The PROXY protocol through rollcall-proxy: accepted from who is listed, sent to instances, with HAProxy and nginx at
the other end."""
import json
import shutil
import socket
import struct
import time

import pytest
from patience import patient
from proxy_lab import Backend, Client, Stream, echo, field, free_port, get, lab, ok, read_request  # noqa: F401
from proxy_peers import haproxy, nginx, rollcall
from proxy_pki import Authority, serving

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client="192.0.2.7", port=4711, to="198.51.100.1"):
    family = "TCP6" if ":" in client else "TCP4"
    return ("PROXY %s %s %s %d 80\r\n" % (family, client, to, port)).encode()


def v2(client="192.0.2.7", port=4711, command=0x21, more=b""):
    body = socket.inet_aton(client) + socket.inet_aton("198.51.100.1") + struct.pack(">HH", port, 80) + more
    return SIGNATURE + struct.pack(">BBH", command, 0x11, len(body)) + body


def read_header(stream):
    """(version, family, source, source port) of the header at the start of a stream."""
    def exactly(size):
        data = stream.sock.recv(size, socket.MSG_WAITALL)  # not a byte of what is behind it
        if len(data) < size:
            raise EOFError
        return data

    head = exactly(6)
    if head == b"PROXY ":
        while not head.endswith(b"\n"):
            head += exactly(1)
        words = head.decode().strip().split(" ")
        return (1, words[1], *((words[2], int(words[4])) if len(words) > 2 else (None, None)))
    head += exactly(10)
    assert head[:12] == SIGNATURE
    body = exactly(struct.unpack(">H", head[14:])[0])
    if head[12] == 0x20:
        return (2, "LOCAL", None, None)
    if head[13] == 0x11:
        return (2, "TCP4", socket.inet_ntop(socket.AF_INET, body[:4]), struct.unpack(">H", body[8:10])[0])
    assert head[13] == 0x21
    return (2, "TCP6", socket.inet_ntop(socket.AF_INET6, body[:16]), struct.unpack(">H", body[32:34])[0])


class Headed(Backend):
    """An instance that wants a header on each connection, notes it and serves what follows."""

    def __init__(self, serve):
        self.headers = []
        super().__init__(self.headed(serve))

    def headed(self, serve):
        def run(stream, backend):
            header = read_header(stream)
            with self.lock:
                self.headers.append(header)
            serve(stream, backend)
        return run


@pytest.fixture
def stage(tmp_path):
    """Starts things that are stopped at the end; a proxy of ours must end well."""
    made = []

    class Stage:
        directory = tmp_path

        @staticmethod
        def keep(thing):
            made.append(thing)
            return thing

        @staticmethod
        def rollcall(text, ports, name="rollcall"):
            return Stage.keep(rollcall(tmp_path, text, ports, name))

    yield Stage
    for thing in reversed(made):
        code = thing.stop()
        assert code in (None, 0) or not thing.config.name.startswith("rollcall"), thing.said()


def accepting(stage, networks="127.0.0.0/8", pool_more="", mode="http"):
    """A proxy that accepts headers, before an instance that echoes: (port, instance, proxy)."""
    backend, port = stage.keep(Backend(echo())), free_port()
    log = "access_log file %s/access.log json" % stage.directory if mode == "http" else ""
    proxy = stage.rollcall("""
drain_timeout 120s
pool web { static 127.0.0.1:%d; %s }
listen %s 127.0.0.1:%d { pool web; proxy_protocol accept %s; %s }
""" % (backend.port, pool_more, mode, port, networks, log), [port])
    return port, backend, proxy


def refused(proxy):
    import urllib.request
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % proxy.admin, timeout=patient(10)) as answer:
        text = answer.read().decode()
    for line in text.splitlines():
        if line.startswith("rollcall_proxy_refusals_total") and 'reason="proxy_protocol"' in line:
            return int(float(line.split()[-1]))
    return 0


def until(claim, within=10):
    """It is counted a moment after the client sees that it is over."""
    end = time.time() + patient(within)
    while not claim() and time.time() < end:
        time.sleep(0.02)
    assert claim()


@pytest.mark.parametrize("header,want", [
    (v1(), "192.0.2.7"), (v1("2001:db8::7", to="::1"), "2001:db8::7"), (v2(), "192.0.2.7"),
    (v2(more=b"\x04\x00\x03abc"), "192.0.2.7"),
    (v2(command=0x20), "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (SIGNATURE + b"\x21\x00\x00\x00", "127.0.0.1"),
], ids=["v1", "v1 of IPv6", "v2", "v2 with an extension", "local", "unknown", "unspec"])
def test_client_is_who_the_header_names(stage, header, want):
    port, backend, _ = accepting(stage)
    client = Client(port)
    client.send(header + get("/first").encode())
    assert client.response().status == 200
    assert client.ask(get("/second")).status == 200, "the header is read once"
    assert [field(head, "x-forwarded-for") for head in backend.heads] == [[want], [want]]
    client.close()
    end = time.time() + patient(10)
    while time.time() < end and (stage.directory / "access.log").read_text().count("\n") < 2:
        time.sleep(0.05)
    lines = [json.loads(line) for line in (stage.directory / "access.log").read_text().splitlines()]
    assert [line["client"] for line in lines] == [want, want]


def test_header_in_pieces_is_one_header(stage):
    port, backend, _ = accepting(stage)
    for header in (v1(), v2()):
        client = Client(port)
        for i in range(len(header)):
            client.send(header[i:i + 1])
            time.sleep(0.003)
        assert client.ask(get()).status == 200
        client.close()
    assert all(field(head, "x-forwarded-for") == ["192.0.2.7"] for head in backend.heads)


@pytest.mark.parametrize("text", [
    get(), "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n" + get(), "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n" + get(),
    (SIGNATURE + struct.pack(">BBH", 0x21, 0x31, 216) + bytes(216)).decode("latin-1") + get(),
    v2(more=b"\x03\x00\x04\0\0\0\0").decode("latin-1") + get(),
    (SIGNATURE + b"\x21\x11\xff\xff").decode("latin-1"),
], ids=["none", "half", "bare LF", "unix", "bad checksum", "too long"])
def test_wrong_header_is_closed_without_a_word(stage, text):
    port, backend, proxy = accepting(stage)
    before = refused(proxy)
    client = Client(port)
    client.send(text)
    assert client.until_end() == b""
    until(lambda: refused(proxy) == before + 1)
    assert backend.heads == []


def test_late_header_is_closed_after_three_seconds(stage):
    port, _, proxy = accepting(stage)
    before = refused(proxy)
    silent, begun = Client(port), Client(port)
    begun.send(v2()[:20])
    began = time.time()
    assert silent.is_closed(patient(20)) and begun.is_closed(patient(20))
    assert time.time() - began > 2.5
    until(lambda: refused(proxy) == before + 2)


def test_header_from_others_is_a_bad_request(stage):
    port, backend, _ = accepting(stage, networks="10.0.0.0/8")
    client = Client(port)
    client.send(v1() + get().encode())
    assert client.response().status == 400 and client.is_closed()
    client = Client(port)
    client.send(v2() + get().encode())
    assert client.response().status == 400 and client.is_closed()
    assert Client(port).ask(get()).status == 200, "who is not listed needs none"
    assert field(backend.heads[0], "x-forwarded-for") == ["127.0.0.1"]


def test_trust_is_asked_of_the_client_not_of_who_brings_it(stage):
    backend, port = stage.keep(Backend(echo())), free_port()
    stage.rollcall("""
pool web { static 127.0.0.1:%d }
listen http 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8; trust_forwarded 192.0.2.0/24 }
""" % (backend.port, port), [port])
    for who in ("192.0.2.7", "198.51.100.9"):
        client = Client(port)
        client.send(v2(who) + get("/", "X-Forwarded-For: 203.0.113.5\r\n").encode())
        assert client.response().status == 200
    assert [field(head, "x-forwarded-for") for head in backend.heads] == [
        ["203.0.113.5, 192.0.2.7"], ["198.51.100.9"]]


def ask_as(port, who, text=None):
    client = Client(port)
    client.send(v2(who) + (text or get()).encode())
    try:
        answer = client.response()
        return answer.status, answer.body
    except (EOFError, ConnectionResetError):
        return None, b""
    finally:
        client.close()


def test_limits_and_hashes_go_by_the_client_not_by_who_brings_it(stage):
    backends = [stage.keep(Backend(echo(str(i)))) for i in range(5)]
    limited, tcp, hashed = free_port(), free_port(), free_port()
    stage.rollcall("""
pool web { %s }
pool hashed { %s; balance hash source }
listen http 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8; limit rate 1/h burst 1 by source }
listen tcp 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8; limit rate 1/h burst 1 by source }
listen http 127.0.0.1:%d { pool hashed; proxy_protocol accept 127.0.0.0/8 }
""" % (*["; ".join("static 127.0.0.1:%d" % b.port for b in backends)] * 2, limited, tcp, hashed), [limited, tcp, hashed])
    for port, refused_by in ((limited, 429), (tcp, None)):
        assert [ask_as(port, who)[0] for who in ("192.0.2.1", "192.0.2.1", "192.0.2.2")] == [200, refused_by, 200]
    clients = ["192.0.2.%d" % i for i in range(1, 25)]
    first = [ask_as(hashed, who)[1][:1] for who in clients]
    assert first == [ask_as(hashed, who)[1][:1] for who in clients] and len(set(first)) > 1


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_instance_is_told_the_client_of_each_connection(stage, version):
    backend, port = stage.keep(Headed(echo())), free_port()
    stage.rollcall("""
pool web { static 127.0.0.1:%d; proxy_protocol send %s }
listen http 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8 }
""" % (backend.port, version, port), [port])
    for who, number in (("192.0.2.7", 1), ("192.0.2.8", 2), ("192.0.2.7", 3)):
        client = Client(port)
        client.send(v2(who, number) + get().encode())
        assert client.response().status == 200
        assert client.ask(get()).status == 200
        client.close()
    want = [(int(version[1]), "TCP4", who, number)
            for who, number in (("192.0.2.7", 1), ("192.0.2.8", 2), ("192.0.2.7", 3)) for _ in range(2)]
    assert backend.headers == want, "no connection serves two clients"


def test_tcp_takes_and_sends_headers(stage):
    backend, port = stage.keep(Headed(echo())), free_port()
    stage.rollcall("""
pool web { static 127.0.0.1:%d; proxy_protocol send }
listen tcp 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8 }
""" % (backend.port, port), [port])
    for header, want in ((v1(), (2, "TCP4", "192.0.2.7", 4711)),
                         (v1("2001:db8::7", to="::1"), (2, "TCP6", "2001:db8::7", 4711))):
        client = Client(port)
        client.send(header + get().encode())
        assert client.response().status == 200
        assert backend.headers[-1] == want
        client.close()


def test_tcp_without_the_option_passes_its_bytes_on(stage):
    backend, port = stage.keep(Headed(echo())), free_port()
    stage.rollcall("pool web { static 127.0.0.1:%d }\nlisten tcp 127.0.0.1:%d { pool web }\n" % (backend.port, port),
                   [port])
    client = Client(port)
    client.send(v1() + get().encode())
    assert client.response().status == 200 and backend.headers == [(1, "TCP4", "192.0.2.7", 4711)]


def test_postgres_takes_and_sends_headers(stage):
    """As far as the wire goes: the start-up packet reaches the server behind the header, and so does a probe of ours."""
    started = []

    def serve(stream, backend):
        size = struct.unpack(">I", stream.exactly(4))[0]
        started.append(stream.exactly(size - 4))
        fatal = b"SFATAL\0VFATAL\0C28000\0Mno\0\0"
        stream.send(b"E" + struct.pack(">I", len(fatal) + 4) + fatal)

    backend, port = stage.keep(Headed(serve)), free_port()
    stage.rollcall("""
pool db { static 127.0.0.1:%d; proxy_protocol send }
listen postgres 127.0.0.1:%d { pool db; proxy_protocol accept 127.0.0.0/8 }
""" % (backend.port, port), [port])
    startup = struct.pack(">I", 196608) + b"user\0x\0\0"
    client = Client(port)
    client.send(v2() + struct.pack(">I", len(startup) + 4) + startup)
    assert b"28000" in client.until_end()
    assert backend.headers[-1] == (2, "TCP4", "192.0.2.7", 4711) and started == [startup]


def test_probe_of_a_database_says_that_it_is_our_own(stage):
    backend, port = stage.keep(Headed(lambda stream, backend: stream.exactly(1))), free_port()
    stage.rollcall("""
pool db { static 127.0.0.1:%d; proxy_protocol send; probe_user x }
listen postgres 127.0.0.1:%d { pool db; target primary }
""" % (backend.port, port), [port])
    end = time.time() + patient(20)
    while not backend.headers and time.time() < end:
        time.sleep(0.05)
    assert backend.headers[0] == (2, "LOCAL", None, None)


@pytest.mark.parametrize("mode", ["http", "tcp"])
@pytest.mark.parametrize("server_tls", [False, True])
def test_header_comes_before_tls_on_both_sides(stage, mode, server_tls):
    house = Authority(stage.directory)
    certificate, key = house.issue("app.test")
    plain = []

    def serve(stream, backend):
        if server_tls:
            stream.sock = serving((certificate, key)).wrap_socket(stream.sock, server_side=True)
        plain.append(1)
        echo()(stream, backend)

    backend, port = stage.keep(Headed(serve)), free_port()
    secured = "server_tls { ca %s; name app.test }" % house.ca if server_tls else ""
    stage.rollcall("""
pool web { static 127.0.0.1:%d; proxy_protocol send; %s }
listen %s 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8; tls { certificate %s key %s } }
""" % (backend.port, secured, mode, port, certificate, key), [port])
    for number in (1, 2):
        sock = socket.create_connection(("127.0.0.1", port), timeout=patient(20))
        sock.sendall(v2("192.0.2.7", number))
        client = Stream(house.trusting().wrap_socket(sock, server_hostname="app.test"))
        client.send(get())
        assert client.head().startswith("HTTP/1.1 200")
        client.sock.close()
    assert backend.headers == [(2, "TCP4", "192.0.2.7", 1), (2, "TCP4", "192.0.2.7", 2)]
    if mode == "http":
        assert [field(head, "x-forwarded-for") for head in backend.heads] == [["192.0.2.7"]] * 2


def test_streams_of_http_2_bring_the_client_of_their_connection(stage):
    backend, port = stage.keep(Headed(echo())), free_port()
    stage.rollcall("""
pool web { static 127.0.0.1:%d; proxy_protocol send }
listen http 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8; http2 clear }
""" % (backend.port, port), [port])
    h2 = pytest.importorskip("h2.connection")
    sock = socket.create_connection(("127.0.0.1", port), timeout=patient(20))
    sock.sendall(v2("192.0.2.7", 99))
    connection = h2.H2Connection()
    connection.initiate_connection()
    for stream in (1, 3):
        connection.send_headers(stream, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "x")],
                                end_stream=True)
    sock.sendall(connection.data_to_send())
    ended = 0
    while ended < 2:
        for event in connection.receive_data(sock.recv(65536)):
            ended += type(event).__name__ == "StreamEnded"
        sock.sendall(connection.data_to_send() or b"")
    sock.close()
    assert backend.headers == [(2, "TCP4", "192.0.2.7", 99)] * 2
    assert [field(head, "x-forwarded-for") for head in backend.heads] == [["192.0.2.7"]] * 2


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_is_understood(stage, option):
    port, backend, _ = accepting(stage)
    front = free_port()
    stage.keep(haproxy(stage.directory, """
listen front
    bind 127.0.0.1:%d
    unique-id-format %%{+X}o%%ci:%%cp
    server ours 127.0.0.1:%d %s source 127.0.0.1
""" % (front, port, option), [front]))
    sock = socket.create_connection(("127.0.0.1", front), timeout=patient(10), source_address=("127.0.0.9", 0))
    stream = Stream(sock)
    stream.send(get())
    assert stream.head().startswith("HTTP/1.1 200")
    assert field(backend.heads[0], "x-forwarded-for") == ["127.0.0.9"]
    sock.close()


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_haproxy_understands_us(stage, mode, version):
    backend, back, port = stage.keep(Backend(echo())), free_port(), free_port()
    stage.keep(haproxy(stage.directory, """
listen back
    bind 127.0.0.1:%d accept-proxy
    http-request set-header X-Seen %%[src]
    server app 127.0.0.1:%d
listen plain
    bind 127.0.0.1:%d
    server app 127.0.0.1:%d
""" % (back, backend.port, free_port(), backend.port), []))
    stage.rollcall("""
pool web { static 127.0.0.1:%d; proxy_protocol send %s }
listen %s 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8 }
""" % (back, version, mode, port), [port])
    end = time.time() + patient(20)
    while time.time() < end:
        client = Client(port)
        client.send(v2("192.0.2.77") + get().encode())
        try:
            if client.response().status == 200:
                break
        except (EOFError, ConnectionResetError):
            pass
        time.sleep(0.1)
    assert field(backend.heads[-1], "x-seen") == ["192.0.2.77"]


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_understands_us(stage, version):
    back, port = free_port(), free_port()
    stage.keep(nginx(stage.directory, """
    server {
        listen 127.0.0.1:%d proxy_protocol;
        location / { return 200 "$proxy_protocol_addr $proxy_protocol_port"; }
    }
""" % back, [back]))
    stage.rollcall("""
pool web { static 127.0.0.1:%d; proxy_protocol send %s }
listen http 127.0.0.1:%d { pool web; proxy_protocol accept 127.0.0.0/8 }
""" % (back, version, port), [port])
    client = Client(port)
    client.send(v1("2001:db8::77", to="::1") + get().encode())
    answer = client.response()
    assert answer.body == b"2001:db8::77 4711"


def test_stop_and_reload_do_not_wait_for_a_header_forever(stage):
    import signal
    port, _, proxy = accepting(stage)
    waiting = Client(port)
    waiting.send(v2()[:9])
    proxy.process.send_signal(signal.SIGHUP)
    assert Client(port).ask(v2().decode("latin-1") + get()).status == 200
    began = time.time()
    assert proxy.stop() == 0 and time.time() - began < patient(15)
