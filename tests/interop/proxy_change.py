"""From a change in the catalog to the first request to the new set: rollcall-proxy with the agent's watch, nginx and HAProxy with
their resolvers at the same agent's DNS. Part `change` of proxy_figures.py.

Two agents; the proxies ask the first. An instance comes, goes, and is put into maintenance at that agent or at the other one. The
clock starts before the call to the agent; a proxy has followed with the first request that the newcomer answers, or the last one that
who left has answered."""
import os
import socket
import statistics
import threading
import time

from proxy_rivals import CORES, OURS, Peer, _nginx_head, find
from store_agents import Agents, until

TIMES = int(os.environ.get("CHANGES", 50))
RIVAL_TIMES = max(1, TIMES // 10)  # theirs take seconds each
PORT, DNS_PORT = 9080, 8600
STAYS, COMES = "127.9.0.1", "127.9.0.2"
SURE = 40  # answers in a row without who left


class Named:
    """Answers every request with its own address."""

    def __init__(self, address):
        self.listener = socket.create_server((address, PORT), backlog=128)
        self.answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(address)}\r\n\r\n{address}".encode()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while connection.recv(65536):
                connection.sendall(self.answer)
        except OSError:
            pass
        connection.close()

    def close(self):
        self.listener.close()


class Asker:
    """One request after the other on one kept connection: (when it began, who answered)."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self):
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), 10)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        try:
            self.connection.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            got = self.connection.recv(65536)
        except OSError:
            got = b""
        body = got.partition(b"\r\n\r\n")[2].decode("latin-1")
        if not got or b"onnection: close" in got:
            self.connection.close()
            self.connection = None
        return began, body if body in (STAYS, COMES) else "error"

    def settle(self, both):
        """Until the proxy uses both, or the one only."""
        row = 0
        end = time.monotonic() + 20
        while row < SURE:
            seen = {self.ask()[1] for _ in range(6)}
            row = row + 6 if (COMES in seen) == both and "error" not in seen else 0
            assert time.monotonic() < end, "a proxy does not follow"
            time.sleep(0.002)


def arrival(asker, change):
    """Milliseconds until the newcomer answers, and failed requests meanwhile."""
    errors, thread = 0, threading.Thread(target=change)
    start = time.monotonic()
    thread.start()
    while True:
        began, who = asker.ask()
        errors += who == "error"
        if who == COMES:
            thread.join()
            return (began - start) * 1e3, errors
        assert began < start + 20, "nothing comes"


def departure(asker, change):
    """Milliseconds until who left has had its last request."""
    errors, row, last, thread = 0, 0, None, threading.Thread(target=change)
    start = time.monotonic()
    thread.start()
    while row < SURE or thread.is_alive():
        began, who = asker.ask()
        errors += who == "error"
        row = 0 if who == COMES else row + 1
        last = began if who == COMES else last
        assert began < start + 20, "it does not go"
    thread.join()
    return 0 if last is None else (last - start) * 1e3, errors


def must(reply):
    assert reply.status == 200, reply.text


def register(agent, address):
    must(agent.call("PUT", "/v1/agent/service/register",
                    {"Name": "web", "ID": f"web-{address}", "Address": address, "Port": PORT}))


def deregister(agent, address):
    must(agent.call("PUT", f"/v1/agent/service/deregister/web-{address}"))


def maintain(agent, address, on):
    must(agent.call("PUT", f"/v1/agent/service/maintenance/web-{address}?enable={'true' if on else 'false'}"))


def configurations(folder, first, listen):
    (folder / "rollcall.conf").write_text(f"""worker_threads 1
admin off
discovery agent {{ address {first.address}:8500 }}
pool web {{ from agent service web }}
listen http 127.0.0.1:{listen["rollcall"]} {{ pool web }}
""")
    (folder / "nginx.conf").write_text(_nginx_head(folder, 1) + f"""http {{
  access_log off; resolver {first.address}:{DNS_PORT} valid=1s ipv6=off; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{listen["nginx"]};
    set $web web.service.rollcall;
    location / {{ proxy_pass http://$web:{PORT}; proxy_connect_timeout 1s; }} }}
}}
""")
    (folder / "haproxy.cfg").write_text(f"""global
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
resolvers agent
  nameserver a {first.address}:{DNS_PORT}
  timeout resolve 1s
  hold valid 1s
  hold obsolete 0s
frontend f
  bind 127.0.0.1:{listen["haproxy"]}
  default_backend b
backend b
  server-template web 2 web.service.rollcall:{PORT} resolvers agent init-addr none
""")


def rows(agents):
    """What changes, where: (name, its way back or there, the change itself)."""
    for place, agent in (("at its agent", agents[0]), ("at another one", agents[1])):
        yield (f"register {place}", arrival, lambda a=agent: register(a, COMES), lambda a=agent: deregister(a, COMES))
        yield (f"deregister {place}", departure, lambda a=agent: deregister(a, COMES), lambda a=agent: register(a, COMES))
        yield (f"maintenance {place}", departure, lambda a=agent: maintain(a, COMES, True), lambda a=agent: maintain(a, COMES, False))
        yield (f"end of maintenance {place}", arrival, lambda a=agent: maintain(a, COMES, False),
               lambda a=agent: maintain(a, COMES, True))


def measure(peer, row):
    _, way, change, back = row
    asker, found, errors = Asker(peer.port), [], 0
    for number in range(TIMES if peer.name == "rollcall" else RIVAL_TIMES):
        if number > 0:
            back()
        asker.settle(way is departure)
        time.sleep(0.013 * (number % 8))  # at no fixed place in anybody's second
        took, failed = way(asker, change)
        found.append(took)
        errors += failed
    asker.connection and asker.connection.close()
    return found, errors


def prepare(row, agent):
    """The state in which the row's change makes sense."""
    register(agent, COMES)
    if row[0].startswith("register"):
        deregister(agent, COMES)
    elif row[0].startswith("end"):
        maintain(agent, COMES, True)


def clean(row, agent):
    if "maintenance" in row[0]:
        maintain(agent, COMES, False)
    if not row[0].startswith("deregister"):
        agent.call("PUT", f"/v1/agent/service/deregister/web-{COMES}")


def show_change(folder):
    folder = folder / "change"
    folder.mkdir()
    agents, servers, peers = Agents(folder / "agents"), [Named(STAYS), Named(COMES)], []
    try:
        first = agents.server("c1", ports={"dns": DNS_PORT}).start().ready()
        second = agents.client("c2").start().ready()
        register(first, STAYS)
        until(lambda: len(second.call("GET", "/v1/health/service/web").json) == 1)
        listen = {"rollcall": 8301, "nginx": 8302, "haproxy": 8303}
        configurations(folder, first, listen)
        commands = {"rollcall": [OURS, "-config", str(folder / "rollcall.conf")],
                    "nginx": [find("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")],
                    "haproxy": [find("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]}
        peers = [Peer(name, command, listen[name], set(CORES), folder) for name, command in commands.items() if command[0]]
        print(f"\nfrom a change in the catalog to the first request to the new set, ms: median, worst (of {TIMES}; of others {RIVAL_TIMES})")
        for row in rows((first, second)):
            agent = second if "another" in row[0] else first
            words = []
            for peer in peers:
                prepare(row, agent)
                found, errors = measure(peer, row)
                clean(row, agent)
                words.append(f"{peer.name} {statistics.median(found):8.1f} {max(found):8.1f} (errors {errors})")
            print(f"  {row[0]:36} {'   '.join(words)}", flush=True)
    finally:
        for peer in peers:
            peer.end()
        agents.end()
        for server in servers:
            server.close()
