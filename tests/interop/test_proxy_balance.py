"""Who gets a request: hashes, sticky cookies, queues and limits, at a real rollcall-proxy."""
import re
import signal
import socket
import threading
import time
from collections import Counter

from patience import patient
from proxy_lab import POST, echo, free_port, get, lab, ok, read_request  # noqa: F401


def names(proxy, requests):
    return [proxy.ask(text).body.split(b"|")[0].decode() for text in requests]


def three(lab):
    return [lab.backend(echo("b%d" % i)) for i in range(3)]


def test_requests_with_the_same_header_cookie_or_argument_meet_again(lab):
    backends = three(lab)
    cases = {
        "header X-User": lambda i: get("/%d" % i, "X-User: u%d\r\n" % (i % 12)),
        "cookie user": lambda i: get("/%d" % i, "Cookie: a=b; user=u%d\r\n" % (i % 12)),
        "query user": lambda i: get("/%d?x=1&user=u%d" % (i, i % 12)),
        "uri": lambda i: get("/p%d?%d" % (i % 12, i)),
    }
    for by, text in cases.items():
        proxy = lab.proxy(*backends, pool="balance hash %s" % by)
        got = names(proxy, [text(i) for i in range(36)])
        for key in range(12):
            assert len({got[key + 12 * k] for k in range(3)}) == 1, by
        assert len(set(got)) > 1, by
        proxy.stop()


def test_a_source_stays_with_its_instance(lab):
    proxy = lab.proxy(*three(lab), pool="balance hash source")
    assert len(set(names(proxy, [get("/%d" % i) for i in range(12)]))) == 1


def test_weights_are_kept_to(lab):
    backends = three(lab)
    proxy = lab.proxy(pool="\n".join("static 127.0.0.1:%d weight %d" % (b.port, weight)
                                     for b, weight in zip(backends, (6, 3, 1))))
    assert Counter(names(proxy, [get()] * 100)) == {"b0": 60, "b1": 30, "b2": 10}


def cookie_of(answer):
    fields = answer.field("set-cookie")
    return fields[0] if fields else None


def test_a_cookie_keeps_a_client_at_its_instance(lab):
    backends = three(lab)
    proxy = lab.proxy(*backends, pool="sticky cookie place")
    first = proxy.ask(get())
    cookie = cookie_of(first)
    assert re.fullmatch(r"place=[0-9a-f]{16}; Path=/; HttpOnly; SameSite=Lax", cookie), cookie
    mine = "Cookie: x=1; %s\r\n" % cookie.split(";")[0]
    name = first.body.split(b"|")[0]
    for _ in range(12):
        answer = proxy.ask(get("/", mine))
        assert answer.body.split(b"|")[0] == name and cookie_of(answer) is None
    # A stranger's value means nothing.
    assert cookie_of(proxy.ask(get("/", "Cookie: place=0123456789abcdef\r\n"))) is not None
    # A reload, and a proxy that starts anew, know it still.
    proxy.process.send_signal(signal.SIGHUP)
    assert proxy.ask(get("/", mine)).body.split(b"|")[0] == name
    proxy.stop()
    proxy = lab.proxy(*backends, pool="sticky cookie place")
    for _ in range(6):
        assert proxy.ask(get("/", mine)).body.split(b"|")[0] == name
    # Its instance dies: another one takes over, and says so.
    backends[int(name[1:])].stop()
    answer = proxy.ask(get("/", mine))
    assert answer.status == 200 and answer.body.split(b"|")[0] != name
    assert cookie_of(answer) not in (None, cookie)


class Gate:
    """A backend that answers one request after another, when it is let."""

    def __init__(self):
        self.order, self.most, self.running, self.lock = [], 0, 0, threading.Lock()
        self.open = threading.Semaphore(0)

    def __call__(self, stream, backend):
        while True:
            request = read_request(stream, backend)
            if request is None:
                return
            path = request[0].split(" ")[1]
            with self.lock:
                self.order.append(path)
                self.running += 1
                self.most = max(self.most, self.running)
            self.open.acquire()
            with self.lock:
                self.running -= 1
            stream.send(ok(path))


def waiting(proxy, number):
    """Until so many wait in the queue."""
    from urllib.request import urlopen
    end = time.time() + patient(30)
    want = re.compile(r'^rollcall_proxy_pool_waiting\{pool="web"\} %d$' % number, re.M)
    while True:
        text = urlopen("http://127.0.0.1:%d/metrics" % proxy.admin, timeout=30).read().decode()
        if want.search(text):
            return text
        assert time.time() < end, text
        time.sleep(0.01)


def test_who_waits_is_served_in_order_and_none_above_the_limit(lab):
    gate = Gate()
    proxy = lab.proxy(lab.backend(gate), pool="max_requests 1; queue 8; queue_timeout 60s")
    clients = []
    for i in range(8):
        clients.append(proxy.client(patient(60)))
        clients[-1].send(get("/%d" % i))
        waiting(proxy, i)  # the first one runs
    for i, client in enumerate(clients):
        gate.open.release()
        assert client.response().body == b"/%d" % i
    assert gate.order == ["/%d" % i for i in range(8)] and gate.most == 1
    assert "rollcall_proxy_pool_queued_total{pool=\"web\"} 7" in waiting(proxy, 0)


def test_a_full_queue_answers_at_once_and_says_why(lab):
    gate = Gate()
    proxy = lab.proxy(lab.backend(gate), pool="max_requests 1; queue 2; queue_timeout 60s")
    clients = [proxy.client(patient(60)) for _ in range(3)]
    for i, client in enumerate(clients):
        client.send(get("/%d" % i))
        waiting(proxy, i)
    answer = proxy.ask(get("/more"))
    assert answer.status == 503 and b"wait" in answer.body
    # Who gives up makes room: by a reset, for a half-close still wants its answer.
    clients[1].sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    clients[1].close()
    waiting(proxy, 1)
    clients.append(proxy.client(patient(60)))
    clients[3].send(get("/3"))
    waiting(proxy, 2)
    for _ in range(3):
        gate.open.release()
    for client in (clients[0], clients[2], clients[3]):
        assert client.response().status == 200
    assert gate.order == ["/0", "/2", "/3"]


def test_who_waits_in_vain_is_told(lab):
    gate = Gate()
    proxy = lab.proxy(lab.backend(gate), pool="max_requests 1; queue_timeout 300ms")
    first, second = proxy.client(patient(60)), proxy.client(patient(60))
    first.send(get("/0"))
    second.send(get("/1"))
    answers = second.response()
    assert answers.status == 503
    gate.open.release()
    assert first.response().status == 200


def counted(outcomes):
    """A backend that counts requests it has seen whole and ends without a word."""

    def serve(stream, backend):
        request = read_request(stream, backend)
        if request is not None:
            outcomes.append(request[0])

    return serve


def test_a_request_with_a_key_is_repeated_only_where_the_route_says_so(lab):
    seen = []
    post = POST + "Idempotency-Key: k\r\nContent-Length: 2\r\n\r\nhi"
    proxy = lab.proxy(lab.backend(counted(seen)), lab.backend(counted(seen)))
    assert proxy.ask(post).status == 502 and len(seen) == 1
    proxy.stop()
    del seen[:]
    proxy = lab.proxy(lab.backend(counted(seen)), lab.backend(echo()),
                      route="retry { attempts 3; idempotency_key on }")
    for _ in range(4):
        assert proxy.ask(post).status == 200
    assert seen
    plain = POST + "Content-Length: 2\r\n\r\nhi"
    codes = Counter(proxy.ask(plain).status for _ in range(2))
    assert set(codes) <= {200, 502}


def test_own_checks_take_out_who_fails_and_bring_back_who_passes(lab):
    healthy = {"b0": True, "b1": True}

    def serve(name):
        def run(stream, backend):
            while True:
                request = read_request(stream, backend)
                if request is None:
                    return
                if request[0].startswith("GET /_health"):
                    good = healthy[name]
                    stream.send("HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n"
                                % ("200 OK" if good else "500 No"))
                else:
                    stream.send(ok(name))
        return run

    proxy = lab.proxy(lab.backend(serve("b0")), lab.backend(serve("b1")),
                      pool="check http /_health { every 50ms; timeout 5s; failures 2; passes 2 }")

    def settles(wanted):
        end = time.time() + patient(30)
        while {proxy.ask(get()).body.decode() for _ in range(6)} != wanted:
            assert time.time() < end
            time.sleep(0.02)

    settles({"b0", "b1"})
    healthy["b0"] = False
    settles({"b1"})
    healthy["b0"] = True
    settles({"b0", "b1"})
    healthy.update(b0=False, b1=False)
    end = time.time() + patient(30)
    while True:
        answer = proxy.ask(get())
        if answer.status == 503:
            break
        assert time.time() < end
    assert b"2 failing" in answer.body


def test_when_too_few_pass_all_are_used(lab):
    dead = free_port()
    backends = three(lab)
    # Checks ask a port that answers for one only: by TCP, at the instance's own address.
    proxy = lab.proxy(backends[0], backends[1], dead, free_port(),
                      pool="check tcp { every 50ms; failures 1; passes 1 }; panic 60%;"
                           " outlier { failures 0 }")
    end = time.time() + patient(30)
    while "rollcall_proxy_pool_panic{pool=\"web\"} 1" not in metrics(proxy):
        assert time.time() < end
        time.sleep(0.02)
    for _ in range(20):
        assert proxy.ask(get()).status == 200  # those who refuse are tried and left
    panics = re.search(r'rollcall_proxy_pool_panic_picks_total\{pool="web"\} (\d+)', metrics(proxy))
    assert int(panics.group(1)) > 0


def metrics(proxy):
    from urllib.request import urlopen
    return urlopen("http://127.0.0.1:%d/metrics" % proxy.admin, timeout=30).read().decode()
