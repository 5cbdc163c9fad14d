"""Hedging: who has not begun to answer in time gets a rival, and whoever answers first is heard."""
import threading
import urllib.request

import pytest
from patience import patient
from proxy_lab import POST, echo, get, lab, ok, read_request  # noqa: F401
from proxy_pki import Authority, sealed, serving

HEDGE = "retry { attempts 3; hedge 30ms }"


def metric(proxy, result):
    text = urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin}/metrics", timeout=patient(30)).read().decode()
    name = f'rollcall_proxy_http_hedges_total{{result="{result}"}}'
    return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


class Slow:
    """Answers nothing before it is let; then "slow"."""

    def __init__(self, first=b"", last=None):
        self.first, self.last, self.free, self.ended = first, last, threading.Event(), threading.Event()

    def __call__(self, stream, backend):
        try:
            while read_request(stream, backend) is not None:
                if self.first:
                    stream.send(self.first)
                self.free.wait(patient(60))
                stream.send(self.last or ok("slow"))
        finally:
            self.ended.set()


def both(lab, slow, fast=None, **settings):
    settings.setdefault("route", HEDGE)
    return lab.backend(slow), lab.backend(fast or echo("fast")), settings


def asked(proxy, text, slow, method="GET"):
    """Until the slow one has had a request: round robin may begin with either."""
    for _ in range(4):
        before = len(slow.heads)
        answer = proxy.ask(text, method)
        if len(slow.heads) > before:
            return answer
    raise AssertionError("the slow instance is never asked")


@pytest.mark.parametrize("text, method", [(get(), "GET"), (get().replace("GET", "HEAD"), "HEAD")])
def test_a_slow_instance_is_overtaken_and_its_connection_closed(lab, text, method):
    serve = Slow()
    slow, fast, settings = both(lab, serve)
    proxy = lab.proxy(slow, fast, **settings)
    answer = asked(proxy, text, slow, method)
    assert answer.status == 200 and (method == "HEAD" or answer.body.startswith(b"fast"))
    assert metric(proxy, "won") == 1 and len(fast.heads) >= 1
    serve.free.set()
    assert serve.ended.wait(patient(30)), "the connection to the slow one is closed"


def test_the_first_one_is_heard_if_it_answers_first(lab):
    serve, rival = Slow(), Slow()
    slow, fast, settings = both(lab, serve, rival)
    proxy = lab.proxy(slow, fast, **settings)
    client = proxy.client()
    client.send(get())
    for backend in (slow, fast):
        wait = threading.Event()
        while not backend.heads:
            assert not wait.wait(0.01)
    serve.free.set()
    assert client.response().body == b"slow"
    assert metric(proxy, "won") + metric(proxy, "lost") == 1
    rival.free.set()


@pytest.mark.parametrize("text", [
    POST + "Content-Length: 3\r\n\r\nabc",
    "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
])
def test_what_changes_things_or_has_a_body_is_asked_once(lab, text):
    serve = Slow()
    slow, fast, settings = both(lab, serve)
    proxy = lab.proxy(slow, fast, **settings)
    threading.Timer(0.3, serve.free.set).start()
    answers = [proxy.ask(text).body for _ in range(2)]
    assert sorted(answer[:4] for answer in answers) == [b"fast", b"slow"]
    assert metric(proxy, "won") == metric(proxy, "lost") == metric(proxy, "failed") == 0


def test_off_by_default(lab):
    serve = Slow()
    slow, fast, settings = both(lab, serve, route="")
    proxy = lab.proxy(slow, fast, **settings)
    threading.Timer(0.3, serve.free.set).start()
    assert asked(proxy, get(), slow).body == b"slow"


def test_an_answer_that_has_begun_is_not_given_up(lab):
    serve = Slow(first=b"HTTP/1.1 200 OK\r\nContent-")
    serve.last = b"Length: 4\r\n\r\nslow"
    slow, fast, settings = both(lab, serve)
    proxy = lab.proxy(slow, fast, **settings)
    threading.Timer(0.3, serve.free.set).start()
    assert asked(proxy, get(), slow).body == b"slow"
    assert metric(proxy, "won") == 0


def test_a_rival_that_is_dead_leaves_the_first_alone(lab):
    serve = Slow()
    slow, fast, settings = both(lab, serve, lambda stream, backend: read_request(stream, backend))
    proxy = lab.proxy(slow, fast, **settings)
    threading.Timer(0.3, serve.free.set).start()
    assert asked(proxy, get(), slow).body == b"slow"
    assert metric(proxy, "won") == 0


def test_when_the_first_one_dies_the_rival_is_heard(lab):
    killed, rival = Slow(), Slow(last=ok("rival").encode())
    slow, fast, settings = both(lab, killed, rival)
    proxy = lab.proxy(slow, fast, **settings)
    client = proxy.client()
    client.send(get())
    wait = threading.Event()
    while not (slow.heads and fast.heads):
        assert not wait.wait(0.01)
    slow.stop()
    rival.free.set()
    assert client.response().body == b"rival"


def test_repeats_and_rivals_share_one_budget(lab):
    serve = Slow()
    slow = lab.backend(serve)
    others = [lab.backend(Slow()) for _ in range(2)]
    proxy = lab.proxy(slow, *others, route=HEDGE)
    clients = [proxy.client() for _ in range(30)]
    for client in clients:
        client.send(get())
    wait = threading.Event()
    while sum(len(b.heads) for b in (slow, *others)) < 30:
        assert not wait.wait(0.01)
    wait.wait(0.3)
    asked_in_all = sum(len(b.heads) for b in (slow, *others))
    assert 30 < asked_in_all <= 30 + 3 + 30 * 20 // 100 + 30 * 20 // 100
    for backend in (slow, *others):
        backend.serve.free.set()
    assert {client.response().status for client in clients} == {200}


def test_instances_that_speak_tls_are_overtaken_too(lab, tmp_path):
    house = Authority(tmp_path)
    ours = house.issue("app.test")
    serve = Slow()
    slow, fast = lab.backend(sealed(serve, serving(ours))), lab.backend(sealed(echo("fast"), serving(ours)))
    proxy = lab.proxy(slow, fast, route=HEDGE, pool=f"server_tls {{ ca {house.ca}; name app.test }}")
    assert asked(proxy, get(), slow).body.startswith(b"fast")
    serve.free.set()


def test_a_client_that_goes_leaves_nothing_behind(lab):
    serve, rival = Slow(), Slow()
    slow, fast, settings = both(lab, serve, rival)
    proxy = lab.proxy(slow, fast, **settings)
    client = proxy.client()
    client.send(get())
    wait = threading.Event()
    while not (slow.heads and fast.heads):
        assert not wait.wait(0.01)
    client.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: a reset
    client.close()
    serve.free.set()
    rival.free.set()
    assert serve.ended.wait(patient(30)) and rival.ended.wait(patient(30))
    assert proxy.ask(get()).status == 200
