"""What one client may ask for: rates, counts, sizes, and clients that are slow on purpose."""
import contextlib
import resource
import socket
import time

import pytest
from patience import patient
from proxy_lab import Backend, Client, echo, free_port, get, read_request, ok
from proxy_pg import until
from test_proxy_control import Process
from test_proxy_observe import ask, backend, pool_of, proxied, routes, samples  # noqa: F401 (backend is a fixture)


def refusals(proxy, reason):
    found = samples(proxy, "rollcall_proxy_refusals_total")
    return sum(value for labels, value in found.items() if f'reason="{reason}"' in labels)


def test_rate_is_kept_by_source_and_says_when_to_come_back(tmp_path, backend):  # noqa: F811
    with proxied(tmp_path, "limit rate 3/h burst 5 by source\npool web", pool_of(backend.port)) as proxy:
        answers = [ask(proxy.port, get()) for _ in range(8)]
        assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
        assert 1000 < int(answers[-1].field("retry-after")[0]) <= 1200
        assert "too many requests" in answers[-1].body.decode()
        until(lambda: refusals(proxy, "rate") == 3)


def test_rate_of_a_route_by_a_header_is_of_each_value(tmp_path, backend):  # noqa: F811
    hosts = "host app.test { route /a { pool web; limit rate 1/h burst 2 by header X-Key }\nroute / { pool web } }"
    with proxied(tmp_path, hosts, pool_of(backend.port)) as proxy:
        def statuses(path, key):
            return [ask(proxy.port, get(path, f"X-Key: {key}\r\n")).status for _ in range(3)]
        assert statuses("/a", "one") == [200, 200, 429]
        assert statuses("/a", "two") == [200, 200, 429]
        assert statuses("/", "one") == [200, 200, 200]


def test_source_is_whom_trusted_proxies_name(tmp_path, backend):  # noqa: F811
    with proxied(tmp_path, "trust_forwarded 127.0.0.0/8\nlimit rate 1/h burst 1 by source\npool web", pool_of(backend.port)) as proxy:
        def status(forwarded):
            return ask(proxy.port, get("/", f"X-Forwarded-For: {forwarded}\r\n")).status
        assert [status("10.1.1.1"), status("10.1.1.1"), status("10.1.1.2")] == [200, 429, 200]
        # What the client wrote himself stands before what our proxies added.
        assert [status("1.2.3.4, 10.1.1.3"), status("5.6.7.8, 10.1.1.3, 127.0.0.9")] == [200, 429]
        # One subscriber of IPv6 is one client.
        assert [status("2001:db8:1:2::1"), status("2001:db8:1:2:3::4"), status("2001:db8:1:3::1")] == [200, 429, 200]


def test_forwarded_is_nothing_from_strangers(tmp_path, backend):  # noqa: F811
    with proxied(tmp_path, "limit rate 1/h burst 1 by source\npool web", pool_of(backend.port)) as proxy:
        assert [ask(proxy.port, get("/", f"X-Forwarded-For: 10.0.0.{i}\r\n")).status for i in (1, 2)] == [200, 429]


def test_no_more_run_at_once_than_allowed_and_others_may_when_they_end(tmp_path):
    import threading
    gate = threading.Event()

    def slow(stream, one):
        while read_request(stream, one):
            gate.wait(patient(60))
            stream.send(ok())

    waiting = Backend(slow)
    with proxied(tmp_path, "limit concurrent 2 by source\npool web", pool_of(waiting.port)) as proxy:
        clients = [Client(proxy.port) for _ in range(2)]
        for client in clients:
            client.send(get())
        until(lambda: len(waiting.heads) == 2)
        refused = ask(proxy.port, get())
        assert refused.status == 429 and refused.field("retry-after") == ["1"]
        gate.set()
        assert [client.response().status for client in clients] == [200, 200]
        until(lambda: ask(proxy.port, get()).status == 200)
    waiting.stop()


def closed_at_once(port):
    with socket.create_connection(("127.0.0.1", port), timeout=patient(10)) as sock:
        sock.settimeout(patient(10))
        with contextlib.suppress(ConnectionResetError):
            return sock.recv(1) == b""
        return True


def test_connections_of_a_source_have_a_ceiling_in_every_mode(tmp_path, backend):  # noqa: F811
    ports = [free_port(), free_port()]
    text = pool_of(backend.port) + "\n".join(
        f"listen {mode} 127.0.0.1:{port} {{ limit connections 2 by source; pool web }}" for mode, port in zip(("http", "tcp"), ports))
    proxy = Process(tmp_path, text)
    for port in ports:
        clients = [Client(port) for _ in range(2)]
        for client in clients:
            client.send(get())
            assert client.response().status == 200
        assert closed_at_once(port)
        clients[0].sock.close()

        def served():
            client = Client(port)
            client.send(get())
            with contextlib.suppress(ConnectionError, EOFError):
                return client.response().status == 200
            return False

        until(served)
        for client in clients:
            client.sock.close()
    assert refusals(proxy, "source_connections") >= 2
    assert "turned away" in proxy.log_path.read_text()
    proxy.close()


def test_new_connections_have_a_rate_in_mode_tcp(tmp_path, backend):  # noqa: F811
    port = free_port()
    proxy = Process(tmp_path, pool_of(backend.port) + f"listen tcp 127.0.0.1:{port} {{ limit rate 1/h burst 3 by source; pool web }}")
    for _ in range(3):
        assert ask(port, get()).status == 200
    assert closed_at_once(port)
    assert refusals(proxy, "connection_rate") == 1
    proxy.close()


def test_ceiling_of_all_lets_clients_wait(tmp_path, backend):  # noqa: F811
    port = free_port()
    proxy = Process(tmp_path, "worker_threads 1\nmax_connections 2\n" + pool_of(backend.port) +
                    f"listen http 127.0.0.1:{port} {{ pool web }}")
    clients = [Client(port) for _ in range(3)]
    for client in clients:
        client.send(get())
    answered = [clients[0].response().status, clients[1].response().status]
    clients[0].sock.close()
    assert answered + [clients[2].response().status] == [200] * 3
    for client in clients:
        client.sock.close()
    proxy.close()


def test_heads_have_a_size_and_a_number_of_lines(tmp_path, backend):  # noqa: F811
    with proxied(tmp_path, "head_limit 1KiB\nheader_lines 10\npool web", pool_of(backend.port)) as proxy:
        assert ask(proxy.port, get("/", "X: %s\r\n" % ("a" * 500))).status == 200
        assert ask(proxy.port, get("/", "X: %s\r\n" % ("a" * 1000))).status == 431
        assert ask(proxy.port, get("/", "".join(f"X-{i}: 1\r\n" for i in range(12)))).status == 431
        until(lambda: refusals(proxy, "head_size") == 2)


def test_limits_go_on_counting_over_a_reload(tmp_path, backend):  # noqa: F811
    with proxied(tmp_path, "limit rate 1/h burst 2 by source\npool web", pool_of(backend.port)) as proxy:
        assert [ask(proxy.port, get()).status for _ in range(3)] == [200, 200, 429]
        proxy.write(proxy.config.read_text().split("\n", 1)[1] + "\n# another text\n")
        proxy.reload()
        until(lambda: "configuration reloaded" in proxy.log_path.read_text())
        assert ask(proxy.port, get()).status == 429


@pytest.mark.parametrize("text,complaint", [
    ("limit rate 100 by source", "no rate"), ("limit rate 0/s by source", "1 to"), ("limit rate 1/d by source", "in s, m or h"),
    ("limit rates 1/s by source", 'did you mean "rate"'), ("limit rate 1/s by sorce", 'did you mean "source"'),
    ("limit connections 5 by header X", "no header"), ("head_limit 100B", "too small"),
    ("route / { pool web; limit connections 5 by source }", "by listener"),
])
def test_what_makes_no_sense_is_refused_with_words(tmp_path, backend, text, complaint):  # noqa: F811
    with proxied(tmp_path, "pool web", pool_of(backend.port)) as proxy:
        own = "" if text.startswith("route") else "\npool web"
        proxy.write(f"pool web {{ static 127.0.0.1:1 }}\nlisten http 127.0.0.1:{free_port()} {{ {text}{own}\n}}\n")
        proxy.reload()
        proxy.says(complaint)


def test_two_thousand_slow_heads_hold_up_nobody_and_end_in_time(tmp_path, backend):  # noqa: F811
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    count = 2000 if resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 4096 else 400
    slow = []
    with proxied(tmp_path, "head_timeout 5s\naccess_log off\npool web", pool_of(backend.port)) as proxy:
        try:
            for _ in range(count):
                sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=patient(30))
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
                slow.append(sock)
            end = time.monotonic() + patient(60)
            while refusals(proxy, "head_time") < count and time.monotonic() < end:
                for sock in slow[::50]:
                    with contextlib.suppress(OSError):
                        sock.send(b"X: y\r\n")  # a line now and then does not help
                assert ask(proxy.port, get()).status == 200
                time.sleep(0.2)
            assert refusals(proxy, "head_time") == count
            assert b"408" in slow[0].recv(100)
        finally:
            for sock in slow:
                sock.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
