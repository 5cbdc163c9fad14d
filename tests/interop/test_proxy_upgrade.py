"""rollcall-proxy is replaced by a new process of itself: no connection, request or websocket is lost."""
import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import proxy_load
import proxy_load_h2
import pytest
from patience import patient
from proxy_house import Proxy, until
from proxy_lab import Backend, Client, echo, free_port, get, program, read_request, ok, websocket, SWITCH

TEXT = """worker_threads 2
%s
pool web { static 127.0.0.1:{b0}; static 127.0.0.1:{b1} }
listen http 127.0.0.1:{port} { pool web }
listen http 127.0.0.1:{h2} { http2 clear; pool web }
listen tcp 127.0.0.1:{tcp} { pool web }
"""


class Folder:
    """What proxy_house.Proxy wants of a house."""

    def __init__(self, folder):
        self.folder = folder


@pytest.fixture
def start(tmp_path):
    made, backends = [], [Backend(echo("b%d" % i)) for i in range(2)]

    async def start_proxy(text=TEXT % "", serve=None, **ports):
        if serve is not None:
            backends.extend([Backend(serve), Backend(serve)])
            ports.update(b0=backends[-1].port, b1=backends[-2].port)
        ports = {"b0": backends[0].port, "b1": backends[1].port, "port": free_port(), "tcp": free_port(), "h2": free_port(), **ports}
        made.append(Proxy(Folder(tmp_path), text, **ports))
        await until(made[-1].ready)
        return made[-1]

    yield start_proxy
    problems = [proxy.end() for proxy in made]
    for backend in backends:
        backend.stop()
    assert problems == [None] * len(made)


def run(task):
    return asyncio.run(asyncio.wait_for(task, patient(60)))


def listening(pid, port):
    """How many descriptors of a process are sockets that listen on a port."""
    lines = [line.split() for line in Path("/proc/%d/net/tcp" % pid).read_text().splitlines()[1:]]
    nodes = {"socket:[%s]" % f[9] for f in lines if f[3] == "0A" and int(f[1].split(":")[1], 16) == port}
    place = "/proc/%d/fd" % pid
    return [os.readlink(f"{place}/{each}") in nodes for each in os.listdir(place)].count(True)


def test_five_upgrades_under_load_lose_nothing(start, tmp_path):
    async def trial():
        apps = []
        for i in range(2):
            words = ["/usr/bin/python3", "-B", str(Path(__file__).with_name("proxy_webapp.py")), str(free_port()), f"w{i}",
                     "--journal", str(tmp_path / f"w{i}.journal")]
            apps.append(subprocess.Popen(words))
        ports = {f"b{i}": int(app.args[3]) for i, app in enumerate(apps)}
        try:
            for port in ports.values():
                await until(lambda port=port: socket.create_connection(("127.0.0.1", port)).close() is None)
            proxy = await start(**ports)
            tally, end = proxy_load.Tally(), asyncio.Event()
            tasks = proxy_load.begin(tally, proxy.ports["port"], 300, end)
            tasks += proxy_load_h2.begin(tally, proxy.ports["h2"], 60, end)
            await until(lambda: tally.total() > 100)
            for _ in range(5):
                before = tally.total()
                await proxy.upgrade()
                assert listening(proxy.pids[-1], proxy.ports["port"]) == 4  # a worker's and control's, of two workers
                assert listening(proxy.pids[-1], proxy.admin) == 2
                await until(lambda: tally.total() > before + 150)
            end.set()
            await asyncio.gather(*tasks)
            await until(lambda: len(proxy.alive()) == 1, what="the former ones do not end")
        finally:
            for app in apps:
                app.kill()
                app.wait()
        print(tally)
        assert not tally.failed, str(tally)
        assert proxy_load.duplicates(tally, tmp_path.glob("*.journal")) == ([], [])

    run(trial())


def test_what_runs_in_the_former_process_comes_to_its_end(start):
    def serve(stream, backend):
        while True:
            head, _ = read_request(stream, backend) or ("", b"")
            if not head:
                return
            if "Upgrade" in head:
                stream.rest = head.encode()
                websocket(stream, backend)
                return
            time.sleep(0.5)
            stream.send(ok("late"))

    async def trial():
        proxy = await start(serve=serve)
        tunnel, slow, idle = (Client(proxy.ports["port"]) for _ in range(3))
        tunnel.send(get("/", SWITCH % "websocket"))
        assert tunnel.response().status == 101 and tunnel.exactly(5) == b"hello"
        assert idle.ask(get()).field("connection") == []
        slow.send(get())
        await proxy.upgrade()
        answer = slow.response()
        assert answer.body == b"late" and answer.field("connection") == ["close"]
        answer = idle.ask(get())  # a kept connection serves one request more
        assert answer.body == b"late" and answer.field("connection") == ["close"]
        assert Client(proxy.ports["port"]).ask(get()).field("connection") == []  # the new one keeps
        tunnel.send("abc")
        assert tunnel.exactly(3) == b"ABC"
        assert len(proxy.alive()) == 2
        tunnel.sock.shutdown(socket.SHUT_WR)
        assert tunnel.until_end() == b"bye"
        await until(lambda: len(proxy.alive()) == 1)

    run(trial())


def test_a_new_process_that_cannot_serve_changes_nothing(start):
    async def trial():
        proxy = await start()
        good = proxy.config.read_text()
        kept = Client(proxy.ports["port"])
        with socket.create_server(("127.0.0.1", 0)) as taken:
            for wrong in ("nonsense", good + "\nlisten tcp 127.0.0.1:%d { pool web }" % taken.getsockname()[1]):
                before = proxy.said().count("upgrade refused")
                proxy.config.write_text(wrong)
                os.kill(proxy.pids[-1], signal.SIGUSR2)
                await until(lambda before=before: proxy.said().count("upgrade refused") > before)
                assert kept.ask(get()).field("connection") == []
        proxy.config.write_text(good)
        await proxy.upgrade()
        assert Client(proxy.ports["port"]).ask(get()).status == 200

    run(trial())


def test_a_new_process_waits_until_it_knows_who_is_there(start):
    async def trial():
        silent = socket.create_server(("127.0.0.1", 0))
        more = "pool other { from agent service x }\ndiscovery agent { address 127.0.0.1:%d }" % silent.getsockname()[1]
        proxy = await start()
        proxy.config.write_text(proxy.config.read_text() + more)
        os.kill(proxy.pids[-1], signal.SIGUSR2)
        await until(lambda: "starts" in proxy.said())
        await asyncio.sleep(1)
        assert Client(proxy.ports["port"]).ask(get()).field("connection") == []
        assert "serves" not in proxy.said()
        silent.close()

    run(trial())


def test_the_number_of_workers_and_the_listeners_may_change(start):
    async def trial():
        proxy = await start()
        more = free_port()
        text = proxy.config.read_text()
        for workers, count in ((4, 4), (1, 4)):  # never fewer than there are queues
            changed = text.replace("worker_threads 2", "worker_threads %d" % workers)
            changed = changed.replace("listen tcp 127.0.0.1:%d" % proxy.ports["tcp"], "listen tcp 127.0.0.1:%d" % more)
            proxy.config.write_text(changed)
            await proxy.upgrade()
            assert listening(proxy.pids[-1], proxy.ports["port"]) == 2 * count
            assert listening(proxy.pids[-1], proxy.ports["tcp"]) == 0
            for _ in range(20):
                assert Client(proxy.ports["port"]).ask(get()).status == 200
            assert Client(more).ask(get()).status == 200

    run(trial())


def test_a_reload_may_change_the_mode_and_the_address_of_a_listener(start):
    async def trial():
        proxy = await start()
        text, port = proxy.config.read_text(), proxy.ports["port"]
        kept = Client(port)
        assert kept.ask(get()).field("via") == []
        for old, new in (("listen http 127.0.0.1:%d" % port, "listen tcp 127.0.0.1:%d" % port),
                         ("listen tcp 127.0.0.1:%d" % port, "listen http 0.0.0.0:%d" % port),
                         ("listen http 0.0.0.0:%d" % port, "listen http 127.0.0.1:%d" % port)):
            text = text.replace(old, new)
            proxy.config.write_text(text)
            await proxy.reload()
            assert "reload refused" not in proxy.said()
            for _ in range(10):
                assert Client(port).ask(get()).status == 200
        assert kept.ask(get()).status == 200
        await until(lambda: listening(proxy.pids[-1], port) == 4)

    run(trial())


def test_the_file_that_stands_there_now_is_started(start, tmp_path, monkeypatch):
    copy = tmp_path / "rollcall-proxy"
    shutil.copy(program(), copy)
    monkeypatch.setenv("ROLLCALL_PROXY", str(copy))

    async def trial():
        proxy = await start()
        shutil.copy(program(), tmp_path / "next")
        os.rename(tmp_path / "next", copy)
        await proxy.upgrade()
        assert os.readlink("/proc/%d/exe" % proxy.pids[-1]) == str(copy)

    run(trial())


def test_sockets_that_systemd_opened_are_used(tmp_path):
    """One socket, which two workers share, without SO_REUSEPORT."""
    backend, opened = Backend(echo("b")), socket.create_server(("127.0.0.1", 0))
    port = opened.getsockname()[1]
    config, notify = tmp_path / "p.conf", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    config.write_text("worker_threads 2\nadmin off\npool web { static 127.0.0.1:%d }\nlisten http 127.0.0.1:%d { pool web }"
                      % (backend.port, port))
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(patient(20))
    begin = 'exec 3<&%d; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"' % opened.fileno()
    process = subprocess.Popen(["bash", "-c", begin, "sh", program(), "-config", str(config)], pass_fds=[opened.fileno()],
                               env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
    opened.close()
    assert notify.recv(1000) == b"READY=1"
    for _ in range(20):
        assert Client(port).ask(get()).body.startswith(b"b|")
    process.send_signal(signal.SIGHUP)
    assert [notify.recv(1000) for _ in range(2)] == [b"RELOADING=1", b"READY=1"]
    process.send_signal(signal.SIGUSR2)
    said = notify.recv(1000)
    assert said.startswith(b"MAINPID=") and said.endswith(b"\nREADY=1")
    assert Client(port).ask(get()).status == 200
    assert process.wait(patient(20)) == 0
    os.kill(int(said.split(b"\n")[0].partition(b"=")[2]), signal.SIGTERM)
    assert notify.recv(1000) == b"STOPPING=1"
    backend.stop()


def test_a_stop_refuses_new_connections_and_loses_no_request(start):
    async def trial():
        proxy = await start(TEXT % "grace 1s")
        tally, end = proxy_load.Tally(), asyncio.Event()
        users = [proxy_load.User(tally, proxy.ports["port"]) for _ in range(30)]
        tasks = [asyncio.ensure_future(proxy_load.visitor(user, 0.15, proxy_load.KINDS, end)) for user in users]
        await until(lambda: tally.total() > 100)
        proxy.process.send_signal(signal.SIGTERM)
        await until(lambda: proxy.process.poll() == 0, what="it does not end")
        end.set()
        await asyncio.gather(*tasks)
        assert all("Connect call failed" in each for each in tally.failures), str(tally)

    run(trial())


def test_a_replaced_process_that_is_told_to_end_cuts_what_is_left(start):
    async def trial():
        proxy = await start(TEXT % "drain_timeout 200ms", serve=websocket)
        tunnel = Client(proxy.ports["port"])
        tunnel.send(get("/", SWITCH % "websocket"))
        assert tunnel.response().status == 101 and tunnel.exactly(5) == b"hello"
        await proxy.upgrade()
        os.kill(proxy.pids[0], signal.SIGTERM)
        assert tunnel.is_closed()
        await until(lambda: len(proxy.alive()) == 1)

    run(trial())
