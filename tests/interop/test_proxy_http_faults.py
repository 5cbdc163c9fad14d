"""HTTP through rollcall-proxy: instances and clients that fail, and what the other side notices of it."""
import json
import socket
import threading
import time

from patience import patient
from proxy_lab import POST, echo, free_port, get, hammer, lab, ok, read_request, says  # noqa: F401


def test_refused_connections_are_tried_elsewhere(lab):
    proxy = lab.proxy(free_port(), lab.backend(echo("alive")))
    client = proxy.client()
    for i in range(20):
        assert client.ask(get()).body.startswith(b"alive")
        assert client.ask(POST + "Content-Length: 3\r\n\r\nabc").body.endswith(b"|3")


def test_503_says_which_service_and_why(lab):
    answer = lab.proxy(free_port(), pool="queue_timeout 100ms").ask(get())
    assert answer.status == 503
    assert answer.body.startswith(b'503 no instance of service "web" is alive (reason: ')


def test_stale_connection_is_replaced_unseen(lab):
    """Every second request meets a connection that dies as it arrives."""
    def serve(stream, backend):
        read_request(stream, backend)
        stream.send(ok("first"))
        stream.head()  # reads the next one, and dies

    client = lab.proxy(lab.backend(serve)).client()
    for _ in range(10):
        assert client.ask(get()).body == b"first"


def test_post_that_was_seen_is_not_sent_twice(lab):
    def serve(stream, backend):
        read_request(stream, backend)

    one, two = lab.backend(serve), lab.backend(serve)
    proxy = lab.proxy(one, two)
    assert proxy.ask(POST + "Content-Length: 3\r\n\r\nabc").status == 502
    assert len(one.heads) + len(two.heads) == 1


def test_get_and_put_are_sent_again(lab):
    def serve(stream, backend):
        read_request(stream, backend)

    proxy = lab.proxy(lab.backend(serve), lab.backend(echo("good")))
    for _ in range(4):
        assert proxy.ask(get()).body.startswith(b"good")
        body = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
        assert proxy.ask(body).body == b"good|PUT / HTTP/1.1|5"


def test_post_takes_no_connection_that_its_instance_has_closed(lab):
    def serve(stream, backend):
        read_request(stream, backend)
        stream.send(ok("once"))  # and closes, without saying so
        stream.sock.close()
        closed.release()

    closed = threading.Semaphore(0)
    client = lab.proxy(lab.backend(serve)).client()
    for _ in range(30):
        answer = client.ask(POST + "Content-Length: 3\r\n\r\nabc")
        assert answer.status == 200
        assert closed.acquire(timeout=patient(30))
        time.sleep(0.02)  # the proxy hears of it


def test_listed_status_is_tried_elsewhere(lab):
    bad = lab.backend(says("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
    proxy = lab.proxy(bad, lab.backend(echo("good")),
                      route="retry { attempts 3; on_status 503 }")
    for _ in range(6):
        assert proxy.ask(get()).body.startswith(b"good")
    codes = {proxy.ask(POST + "Content-Length: 0\r\n\r\n").status for _ in range(4)}
    assert codes <= {200, 503}


def test_stopping_instance_hands_its_requests_on(lab):
    bad = lab.backend(says("HTTP/1.1 503 Bye\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"))
    proxy = lab.proxy(bad, lab.backend(echo("good")))
    for _ in range(6):
        assert proxy.ask(get()).body.startswith(b"good")


def test_killed_instance_costs_no_get(lab):
    def slow(name):
        def serve(stream, backend):
            while read_request(stream, backend) is not None:
                time.sleep(0.005)
                stream.send(ok(name))
        return serve

    backends = [lab.backend(slow(n)) for n in "abc"]
    proxy, results = lab.proxy(*backends), []
    running = hammer(proxy, 4, get(), results)
    for backend in backends[:2]:
        time.sleep(0.7)
        backend.stop()
        time.sleep(0.7)
        backend.start()
    for thread in running:
        thread.join()
    assert set(results) == {200}, [r for r in results if r != 200]
    assert len(results) > 50


def test_silent_instance_is_504_and_not_asked_again(lab):
    def serve(stream, backend):
        read_request(stream, backend)
        over.wait(patient(60))

    over = threading.Event()
    one, two = lab.backend(serve), lab.backend(serve)
    proxy = lab.proxy(one, two, pool="response_timeout 300ms")
    start = time.time()
    assert proxy.ask(get()).status == 504
    assert 0.2 < time.time() - start < 30
    over.set()
    assert len(one.heads) + len(two.heads) == 1


def test_instance_that_does_not_accept_is_left_after_the_connect_timeout(lab):
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    waiting = []
    for _ in range(3):  # fill its queue: later SYNs are dropped
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        waiting.append(sock)
    proxy = lab.proxy(port, lab.backend(echo("good")), pool="connect_timeout 200ms")
    for _ in range(2):
        assert proxy.ask(get()).body.startswith(b"good")


def test_late_head_is_408_and_an_idle_client_is_just_closed(lab):
    proxy = lab.proxy(lab.backend(echo()), listener="head_timeout 2s; keepalive 300ms")
    late = proxy.client()
    late.send("GET / HT")
    assert late.response().status == 408 and late.is_closed()
    silent = proxy.client()
    assert silent.is_closed()
    kept = proxy.client()
    assert kept.ask(get()).status == 200
    assert kept.is_closed()


def test_late_body_is_408(lab):
    proxy = lab.proxy(lab.backend(echo()), listener="body_timeout 300ms")
    client = proxy.client()
    answer = client.ask(POST + "Content-Length: 10\r\n\r\nabc")
    assert answer.status == 408 and client.is_closed()


def test_client_that_goes_is_logged_as_499(lab):
    gone = threading.Event()

    def serve(stream, backend):
        read_request(stream, backend)
        gone.set()
        stream.head()

    proxy = lab.proxy(lab.backend(serve))
    client = proxy.client()
    client.send(get())
    assert gone.wait(patient(30))
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    line = json.loads(proxy.logged(1)[0])
    assert line["status"] == 499 and line["ended"] == "CH"


def test_client_that_goes_amid_its_body_frees_the_instance(lab):
    ended = threading.Event()

    def serve(stream, backend):
        stream.head()
        stream.until_end()
        ended.set()

    client = lab.proxy(lab.backend(serve)).client()
    client.send(POST + "Content-Length: 100\r\n\r\nabc")
    time.sleep(0.2)
    client.close()
    assert ended.wait(patient(30))
