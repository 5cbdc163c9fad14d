"""rollcall-proxy as a process: discovery, reload, drain, the admin port, clear errors."""
import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from patience import patient
from pg_keepers import Catalog
from proxy_lab import Backend, Client, echo, free_port, get, program
from proxy_pg import in_background, until


class Process:
    """A proxy with a configuration that a test writes and rewrites."""

    def __init__(self, folder, text):
        self.config, self.log_path = folder / "proxy.conf", folder / "proxy.log"
        self.admin = free_port()
        self.write(text)
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen([program(), "-config", str(self.config)], stderr=self.log)
        until(lambda: self.get("/health")[0] == 200)

    def write(self, text):
        self.config.write_text("admin 127.0.0.1:%d\n%s" % (self.admin, text))

    def reload(self):
        before = self.log_path.read_bytes().count(b"reload")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log_path.read_bytes().count(b"reload") > before)

    def get(self, path, method="GET", **headers):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.admin, path), method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            assert self.process.poll() is None, "ended: " + self.log_path.read_text()
            return 0, ""

    def says(self, text):
        until(lambda: text in self.log_path.read_text())

    def instances(self, pool=0):
        return {i["address"]: i["state"] for i in json.loads(self.get("/upstreams")[1])["pools"][pool]["instances"]}

    def stop(self, number=signal.SIGTERM, within=30):
        self.process.send_signal(number)
        return self.process.wait(within)

    def close(self):
        if self.process.poll() is None:
            assert self.stop() == 0
        self.log.close()
        log = self.log_path.read_text()
        assert "AddressSanitizer" not in log and "runtime error" not in log and "ThreadSanitizer" not in log, log


@pytest.fixture
def start(tmp_path):
    made = []

    def start_process(text):
        made.append(Process(tmp_path, text))
        return made[-1]

    yield start_process
    for process in made:
        process.close()


@pytest.fixture
def backends():
    made = [Backend(echo("b%d" % i)) for i in range(3)]
    yield made
    for backend in made:
        backend.stop()


@pytest.fixture
def agent():
    made = Catalog()
    yield made
    made.close()


def say_web(agent, *backends):
    agent.say(**{"n%d" % i: (b, None) for i, b in enumerate(backends)})


def test_a_change_on_the_agent_arrives_in_milliseconds(start, backends, agent):
    say_web(agent, *backends[:2])
    port = free_port()
    proxy = start(f"""
discovery agent {{ address 127.0.0.1:{agent.port}; wait 10s }}
pool web {{ from agent service web }}
listen http 127.0.0.1:{port} {{ pool web }}
""")
    until(lambda: proxy.get("/ready")[0] == 200)
    names = lambda: {Client(port).ask(get()).body.split(b"|")[0] for _ in range(6)}
    assert names() == {b"b0", b"b1"}
    say_web(agent, backends[2])
    until(lambda: names() == {b"b2"})  # each worker is told for itself
    say_web(agent)  # nobody is left
    until(lambda: Client(port).ask(get()).status == 503)


def test_ready_means_that_a_source_has_answered(start, agent):
    agent.close()
    proxy = start(f"""
discovery agent {{ address 127.0.0.1:{agent.port} }}
pool web {{ from agent service web }}
listen http 127.0.0.1:{free_port()} {{ pool web }}
""")
    assert proxy.get("/health")[0] == 200
    assert proxy.get("/ready")[0] == 503


def test_reload_adds_and_removes_listeners_and_drops_no_connection(start, backends):
    first, second = free_port(), free_port()
    pool = "pool web { static 127.0.0.1:%d }\n"
    proxy = start(pool % backends[0].port + "listen http 127.0.0.1:%d { pool web }" % first)
    kept = Client(first)
    assert kept.ask(get()).body.startswith(b"b0")

    proxy.write(pool % backends[1].port + "listen http 127.0.0.1:%d { pool web }\n"
                "listen http 127.0.0.1:%d { pool web }" % (first, second))
    proxy.reload()
    until(lambda: kept.ask(get()).body.startswith(b"b1"))
    assert Client(second).ask(get()).body.startswith(b"b1")

    proxy.write(pool % backends[1].port + "listen http 127.0.0.1:%d { pool web }" % second)
    proxy.reload()
    assert Client(second).ask(get()).status == 200
    until(lambda: refuses(first))


def test_a_wrong_configuration_changes_nothing(start, backends):
    port = free_port()
    proxy = start("pool web { static 127.0.0.1:%d }\nlisten http 127.0.0.1:%d { pool web }" % (backends[0].port, port))
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        for text, why in ((" pool web { }", "has no source"),
                          ("pool web { static 127.0.0.1:1 }\nlisten http 127.0.0.1:%d { pool web }"
                           % taken.getsockname()[1], "Address already in use")):
            proxy.write(text)
            proxy.reload()
            assert why in proxy.log_path.read_text()
            assert Client(port).ask(get()).body.startswith(b"b0")


def test_reload_under_load_fails_no_request(start, backends):
    port = free_port()
    text = "pool web { static 127.0.0.1:%d; static 127.0.0.1:%d }\nlisten http 127.0.0.1:%d { pool web%s }"
    proxy = start(text % (backends[0].port, backends[1].port, port, ""))
    stop, failed, done = threading.Event(), [], []

    def load():
        client = Client(port)
        while not stop.is_set():
            answer = client.ask(get())
            (done if answer.status == 200 else failed).append(answer.status)

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(8):
        proxy.write(text % (backends[i % 3].port, backends[(i + 1) % 3].port, port, "; keepalive %ds" % (60 + i)))
        proxy.reload()
        time.sleep(0.05)
    until(lambda: failed or len(done) > 50)
    stop.set()
    for thread in threads:
        thread.join(patient(60))
    assert not failed


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_sigterm_lets_running_requests_finish(start):
    running, release = threading.Event(), threading.Event()

    def slow(stream, backend):
        stream.head()
        running.set()
        release.wait(patient(60))
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

    backend, port = Backend(slow), free_port()
    proxy = start("grace 300ms\npool web { static 127.0.0.1:%d }\nlisten http 127.0.0.1:%d { pool web }"
                  % (backend.port, port))
    client = Client(port)
    client.send(get())
    assert running.wait(patient(30))
    proxy.process.send_signal(signal.SIGTERM)
    until(lambda: proxy.get("/ready")[0] == 503)
    until(lambda: refuses(port))
    release.set()
    answer = client.response()
    assert answer.status == 200 and answer.body == b"done"
    assert proxy.process.wait(patient(30)) == 0
    backend.stop()


def test_a_second_sigterm_ends_at_once(start, backends):
    port = free_port()
    proxy = start("drain_timeout 60s\npool web { static 127.0.0.1:%d }\nlisten tcp 127.0.0.1:%d { pool web }"
                  % (backends[0].port, port))
    client = Client(port)
    assert client.ask(get()).status == 200
    proxy.process.send_signal(signal.SIGTERM)
    proxy.says("stopping: connections drain")  # two that come before it looks are one
    assert proxy.process.poll() is None
    assert proxy.stop(within=30) == 0


def test_drain_timeout_cuts_what_is_left(start, backends):
    port = free_port()
    proxy = start("drain_timeout 500ms\npool web { static 127.0.0.1:%d }\nlisten tcp 127.0.0.1:%d { pool web }"
                  % (backends[0].port, port))
    client = Client(port)
    assert client.ask(get()).status == 200
    began = time.monotonic()
    assert proxy.stop(within=30) == 0
    assert time.monotonic() - began > 0.4


def test_an_operator_drains_an_instance_and_takes_it_back(start, backends):
    port = free_port()
    proxy = start("pool web { static 127.0.0.1:%d; static 127.0.0.1:%d }\nlisten http 127.0.0.1:%d { pool web }"
                  % (backends[0].port, backends[1].port, port))
    name = "127.0.0.1:%d" % backends[0].port
    assert proxy.get("/upstreams/web/%s/drain" % name, "POST")[0] == 200
    assert proxy.instances()[name] == "draining"
    names = lambda: {Client(port).ask(get()).body[:2] for _ in range(8)}
    until(lambda: names() == {b"b1"})
    assert proxy.get("/upstreams/web/%s/undrain" % name, "POST")[0] == 200
    until(lambda: names() == {b"b0", b"b1"})
    assert proxy.get("/upstreams/web/nobody/drain", "POST")[0] == 404


def test_pages_of_other_sites_cannot_use_the_admin_port(start, backends):
    proxy = start("pool web { static 127.0.0.1:%d }\nlisten http 127.0.0.1:%d { pool web }"
                  % (backends[0].port, free_port()))
    assert proxy.get("/upstreams", Host="evil.test")[0] == 403
    assert proxy.get("/reload", "POST", Origin="http://evil.test")[0] == 403
    assert proxy.get("/nonsense")[0] == 404
    assert "rollcall_proxy_instance_in_flight" in proxy.get("/metrics")[1]


def test_tcp_passes_both_ways_and_keeps_half_closes(start):
    def reverse(stream, backend):
        data = stream.until_end()
        stream.send(data[::-1])

    backend, port = Backend(reverse), free_port()
    start("pool raw { static 127.0.0.1:%d }\nlisten tcp 127.0.0.1:%d { pool raw }" % (backend.port, port))
    client, data = Client(port), bytes(range(256)) * 20000
    done, thread = in_background(client.until_end)
    client.send(data)
    client.sock.shutdown(socket.SHUT_WR)
    thread.join(patient(60))
    assert done == [data[::-1]]
    backend.stop()


def test_tcp_goes_to_the_next_when_one_refuses(start, backends):
    port = free_port()
    start("pool raw { static 127.0.0.1:%d; static 127.0.0.1:%d }\nlisten tcp 127.0.0.1:%d { pool raw }"
          % (free_port(), backends[0].port, port))
    for _ in range(10):
        assert Client(port).ask(get()).status == 200


@pytest.mark.parametrize("words, why", [
    (["-config", "/nonexistent"], "/nonexistent: cannot be read: No such file or directory"),
    (["-bogus"], "unknown option (see -help): -bogus"),
    ([], "-config FILE is missing"),
])
def test_a_start_that_cannot_be_says_why(words, why):
    ended = subprocess.run([program(), *words], capture_output=True, text=True, timeout=patient(30))
    assert ended.returncode == 1 and why in ended.stderr and ended.stderr.count("\n") == 1


def test_any_address_of_both_families_may_have_one_port(start, backends):
    port = free_port()
    start("pool web { static 127.0.0.1:%d }\nlisten tcp 0.0.0.0:%d { pool web }\nlisten tcp [::]:%d { pool web }" % (backends[0].port, port, port))
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.closing(socket.socket(family)) as client:
            client.connect((host, port))


def test_a_port_that_is_taken_is_named(tmp_path):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "p.conf"
        config.write_text("admin off\npool a { static 127.0.0.1:1 }\nlisten tcp 127.0.0.1:%d { pool a }" % port)
        ended = subprocess.run([program(), "-config", str(config)], capture_output=True, text=True, timeout=patient(30))
    assert ended.returncode == 1
    assert "line 3: cannot listen on 127.0.0.1:%d: Address already in use" % port in ended.stderr
