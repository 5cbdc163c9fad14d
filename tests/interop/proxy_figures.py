#!/usr/bin/python3
"""Figures of rollcall-proxy, side by side with its peers, printed, not judged: `make proxy-figures` (root).

usage: proxy_figures.py [PART]...   (http, tls, h2, bulk, memory, pg, change; ROUNDS=3 SAMPLE=1 seconds BULK=2 GiB HELD=10000)

With one worker each proxy is on one core, the server behind it (tests/load/proxy_origin) and the load (wrk, h2load) on the other;
with two, all share both. Samples are taken in turn, so that what the machine does besides meets all of them, and a ratio is the
median of ratios within a round. `best` is the better of nginx and HAProxy in the same round. CPU is the proxy's, of all its threads
and children; the floor is tests/load/proxy_floor, which passes bytes on without a look."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import proxy_change  # noqa: E402
import proxy_rivals  # noqa: E402
import proxy_h2_figures  # noqa: E402
import proxy_tls_figures  # noqa: E402
from dns_traffic import CLIENT_CORE, CORES, on, wait_quiet  # noqa: E402
from proxy_rivals import LOAD, Peers, find, place  # noqa: E402

ROUNDS, SAMPLE = int(os.environ.get("ROUNDS", 3)), float(os.environ.get("SAMPLE", 1))
BULK = int(float(os.environ.get("BULK", 2)) * (1 << 30))
HELD = int(os.environ.get("HELD", 10000))
RIVALS = ("nginx", "haproxy", "haproxy-splice")
WAYS = {"64 connections": ["-c64"], "256 connections": ["-c256"], "closing, 64": ["-c64", "-H", "Connection: close"]}
RATE = 3200  # requests a second over 32 connections, for times without saturation
UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}


def interleaved(things):
    for number in range(ROUNDS):
        for thing in things if number % 2 == 0 else reversed(things):
            yield thing


def load_words(peers):
    """Where the load and the server stand."""
    return on(CLIENT_CORE) if peers.workers == 1 else on(",".join(map(str, CORES)))


def in_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()
    return float(number) * UNITS[unit]


def watch_cpu(peer, command, timeout=120):
    """What the command said, and the CPU that the proxy took meanwhile."""
    wait_quiet()
    before, began = peer.cpu_s(), time.monotonic()
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=timeout, check=False).stdout
    return said, peer.cpu_s() - before, time.monotonic() - began


def wrk(peers, peer, words, path="/1k", scheme="http"):
    """One stretch of requests, as many as it takes."""
    command = [*load_words(peers), find("wrk"), "-t1", f"-d{SAMPLE:.0f}s", "--latency", "--timeout", "5s", *words,
               f"{scheme}://127.0.0.1:{peer.port}{path}"]
    said, cpu, _ = watch_cpu(peer, command)
    done = int(re.search(r"(\d+) requests in", said)[1])
    errors = sum(int(number) for found in re.findall(r"Socket errors: (.*)|Non-2xx or 3xx responses: (\d+)", said)
                 for text in found for number in re.findall(r"\d+", text))
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), "us": cpu * 1e6 / max(done, 1), "errors": errors,
            "p50_us": in_us(re.search(r"(?m)^\s+50%\s+(\S+)", said)[1]), "p99_us": in_us(re.search(r"(?m)^\s+99%\s+(\S+)", said)[1])}


def at_rate(peers, peer, folder):
    """Requests that do not wait for each other: times without saturation."""
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = [*load_words(peers), find("h2load"), "--h1", "-c32", "-t1", f"-D{max(2, SAMPLE):.0f}", f"--rps={RATE // 32}", f"--log-file={log}",
               f"http://127.0.0.1:{peer.port}/1k"]
    _, cpu, seconds = watch_cpu(peer, command)
    lines = [line.split() for line in log.read_text().splitlines()]
    times = sorted(int(words[2]) for words in lines if words[1] == "200")
    return {"rate": len(times) / seconds, "us": cpu * 1e6 / max(len(times), 1), "errors": len(lines) - len(times),
            "p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}


def middle(found, key):
    return statistics.median(each[key] for each in found)


def against(found, name, key, rivals, better):
    """The median, over rounds, of ours to the best of the rivals; None without any."""
    there = [found[rival] for rival in rivals if rival in found]
    if not there or name in rivals:
        return None
    return statistics.median(mine[key] / better(other[key] for other in theirs) for mine, *theirs in zip(found[name], *there))


def times_of(value):
    return "     " if value is None else f"{value:5.2f}"


def show(row, found):
    print(f"\n{row}", flush=True)
    for name, each in found.items():
        print(f"  {name:14} {middle(each, 'us'):7.2f} us a request {times_of(against(found, name, 'us', RIVALS, min))} x best"
              f"  {middle(each, 'rate') / 1000:7.1f} k/s {times_of(against(found, name, 'rate', RIVALS, max))} x"
              f"  p50 {middle(each, 'p50_us'):7.0f} us  p99 {middle(each, 'p99_us'):7.0f} {times_of(against(found, name, 'p99_us', RIVALS, min))} x"
              f"  errors {sum(one['errors'] for one in each)}", flush=True)


def measured(running, sample):
    found = {peer.name: [] for peer in running}
    for peer in interleaved(running):
        found[peer.name].append(sample(peer))
    return found


def show_http(folder):
    """Small answers: CPU a request on one core, rates and times on both."""
    for workers in (1, len(CORES)):
        names = ["nginx", "haproxy", "rollcall"] + (["floor", "rollcall-log"] if workers == 1 else [])
        origin = proxy_rivals.origin(CORES if workers > 1 else (CLIENT_CORE,))
        peers = Peers(folder / f"http{workers}", names, workers)
        try:
            with peers as running:
                for row, words in WAYS.items():
                    show(f"1 KB, {row}, {workers} worker{'s' * (workers > 1)}", measured(running, lambda peer, words=words: wrk(peers, peer, words)))
                if find("h2load"):
                    show(f"1 KB, {RATE} requests a second, {workers} worker{'s' * (workers > 1)}",
                         measured(running, lambda peer: at_rate(peers, peer, folder)))
        finally:
            origin.end()


def bulk(peer, way):
    path = f"/bytes/{BULK}" if way == "get" else "/up"
    rss = peer.memory_mb()
    said, cpu, _ = watch_cpu(peer, [*on(CLIENT_CORE), str(LOAD / "proxy_bulk"), way, "127.0.0.1", str(peer.port), path, str(BULK)])
    found = json.loads(said)
    return {"cpu": cpu / (BULK / (1 << 30)), "rate": BULK / found["seconds"] / 1e6, "sound": found["sound"], "grown": peer.memory_mb() - rss}


def show_bulk(folder):
    origin = proxy_rivals.origin()
    try:
        with Peers(folder / "bulk", ["nginx", "haproxy", "haproxy-splice", "floor", "rollcall"]) as running:
            for way in ("get", "put"):
                found = measured(running, lambda peer, way=way: bulk(peer, way))
                print(f"\n{BULK / (1 << 30):g} GiB {'down' if way == 'get' else 'up'}, one worker")
                for name, each in found.items():
                    print(f"  {name:14} {middle(each, 'cpu'):6.3f} s CPU a GiB {times_of(against(found, name, 'cpu', RIVALS, min))} x best"
                          f"  {middle(each, 'rate'):6.0f} MB/s {times_of(against(found, name, 'rate', RIVALS, max))} x"
                          f"  resident {middle(each, 'grown'):+.2f} MB  {'whole' if all(one['sound'] for one in each) else 'BROKEN'}", flush=True)
    finally:
        origin.end()


class Held:
    """Kept connections that have been answered once and ask nothing more."""

    def __init__(self, port, count):
        self.sockets = []
        for number in range(count):
            # more than one address holds ports for, and never more of them unanswered than a queue takes
            connection = socket.socket()
            connection.bind((f"127.0.1.{1 + number // 20000}", 0))
            connection.connect(("127.0.0.1", port))
            connection.sendall(b"GET /1k HTTP/1.1\r\nHost: held\r\n\r\n")
            self.sockets.append(connection)
            if number % 64 == 63 or number == count - 1:
                self._read(self.sockets[number - number % 64:])

    @staticmethod
    def _read(some):
        for connection in some:
            connection.settimeout(10)
            got = b""
            while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < 1024:
                piece = connection.recv(4096)
                assert piece, "closed"
                got += piece

    def close(self):
        for connection in self.sockets:
            connection.close()


def show_memory(folder):
    """Resident, all of the process: after the start, with kept connections, after they have gone."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (proxy_rivals.FILES_MAX, proxy_rivals.FILES_MAX))
    origin = proxy_rivals.origin()
    try:
        for workers in sorted({1, len(CORES)}):
            print(f"\nresident MB, {workers} worker{'s' * (workers > 1)}: idle, {HELD} kept connections, all closed again")
            with Peers(folder / f"memory{workers}", ["nginx", "haproxy", "rollcall"], workers) as running:
                for peer in running:
                    time.sleep(0.3)
                    idle = peer.memory_mb()
                    held = Held(peer.port, HELD)
                    time.sleep(1)
                    full = peer.memory_mb()
                    held.close()
                    time.sleep(1)
                    print(f"  {peer.name:14} {idle:6.2f} {full:7.2f} {peer.memory_mb():7.2f}   {(full - idle) * 1024 * 1024 / HELD:5.0f} bytes each", flush=True)
    finally:
        origin.end()


PG_PORT = 5432
PG_USER = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]


class Database:
    """PostgreSQL on the core of the load, filled for pgbench."""

    def __init__(self, folder):
        tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.tools, data = tools, folder / "data"
        folder.mkdir()
        shutil.chown(folder, "postgres")
        subprocess.run([*PG_USER, tools / "initdb", "-D", data, "-A", "trust", "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = '127.0.0.1'\nport = {PG_PORT}\nunix_socket_directories = ''\nfsync = off\nautovacuum = off\n"
                       "max_connections = 300\nshared_buffers = 256MB\n")
        self.server = proxy_rivals.Peer("postgres", [*PG_USER, str(tools / "postgres"), "-D", str(data)], PG_PORT, {CLIENT_CORE})
        time.sleep(0.5)
        subprocess.run(self.pgbench(PG_PORT, "-i", "-s", "5", "-q"), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pgbench(self, port, *words):
        return [*on(CLIENT_CORE), str(self.tools / "pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", *words, "postgres"]

    def sample(self, peer, clients):
        said, cpu, _ = watch_cpu(peer, self.pgbench(peer.port, "-S", "-n", "-c", str(clients), "-j", "1", "-T", str(max(2, int(SAMPLE)))))
        done = int(re.search(r"actually processed: (\d+)", said)[1])
        return {"us": cpu * 1e6 / max(done, 1), "rate": float(re.search(r"tps = ([\d.]+)", said)[1])}

    def end(self):
        self.server.process.send_signal(signal.SIGINT)
        self.server.process.wait(20)


def show_pg(folder):
    """pgbench -S; `floor` is the ratio of CPU to that of the bare forwarder."""
    database = Database(folder / "pg")
    try:
        names = ["floor", "nginx", "haproxy", "rollcall", "rollcall-pg"]
        with Peers(folder / "pgpeers", names, 1, proxy_rivals.tcp, f"127.0.0.1:{PG_PORT}") as running:
            for clients in (16, 64):
                found = measured(running, lambda peer, clients=clients: database.sample(peer, clients))
                print(f"\npgbench -S, {clients} clients")
                for name, each in found.items():
                    print(f"  {name:14} {middle(each, 'us'):6.2f} us a transaction {times_of(against(found, name, 'us', ('floor',), min))} x floor"
                          f"  {middle(each, 'rate'):7.0f} a second {times_of(against(found, name, 'rate', ('haproxy',), max))} x haproxy", flush=True)
    finally:
        database.end()


def show_tls(folder):
    proxy_tls_figures.show(folder, sys.modules[__name__])


def show_h2(folder):
    proxy_h2_figures.show(folder, sys.modules[__name__])


PARTS = {"http": show_http, "tls": show_tls, "h2": show_h2, "bulk": show_bulk, "memory": show_memory, "pg": show_pg, "change": proxy_change.show_change}


def main(parts):
    os.nice(-10)  # what else runs on the machine disturbs less
    for name, value in (("ip_local_port_range", "20000 65000"), ("tcp_tw_reuse", "1")):
        Path(f"/proc/sys/net/ipv4/{name}").write_text(value)
    Path("/proc/sys/net/core/somaxconn").write_text("8192")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as text:
        Path(text).chmod(0o755)  # PostgreSQL is another user
        for part in parts:
            PARTS[part](Path(text))


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
