"""Where instances are learnt from: a real agent and what becomes of it, Consul's recorded answer, files, DNS of others, distances."""
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from patience import patient
from pg_keepers import Speaker
from proxy_lab import Backend, Client, echo, free_port, get
from store_agents import Agents, until
from test_proxy_control import Process

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture
def things():
    """What is put in here is ended at the end, the last one first."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def proxy(tmp_path, things):
    def start(text, port):
        made = Process(tmp_path, "worker_threads 1\n" + text + "\nlisten http 127.0.0.1:%d { pool web }\n" % port)
        things.callback(made.close)
        made.port = port
        return made

    return start


@pytest.fixture
def backends(things):
    made = [Backend(echo("b%d" % i)) for i in range(3)]
    for backend in made:
        things.callback(backend.stop)
    return made


@pytest.fixture
def agents(tmp_path, things):
    made = Agents(tmp_path / "agents")
    things.callback(made.end)
    return made


def answering(port, rounds=12):
    return Counter(Client(port).ask(get()).body.split(b"|")[0].decode() for _ in range(rounds))


def shares(port, **want):
    """Of so many requests, give or take the one that a change of the set moves."""
    got = answering(port, sum(want.values()))
    assert all(abs(got[name] - number) <= 1 for name, number in want.items()), got


def instances(proxy):
    return {i["id"]: i for i in json.loads(proxy.get("/upstreams")[1])["pools"][0]["instances"]}


def sources(proxy):
    return json.loads(proxy.get("/upstreams")[1])["pools"][0]["sources"]


class Load:
    """Requests on kept connections; all must succeed."""

    def __init__(self, port, threads=3):
        self.port, self.ended, self.answers, self.problems = port, False, Counter(), []
        self.running = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]
        for thread in self.running:
            thread.start()

    def run(self):
        client = None
        while not self.ended:
            try:
                client = client or Client(self.port, timeout=patient(30))
                answer = client.ask(get())
                if answer.status != 200:
                    self.problems.append((answer.status, answer.body))
                self.answers[answer.body.split(b"|")[0].decode()] += 1
                if answer.field("connection") == ["close"]:
                    client = None
            except Exception as problem:  # noqa: BLE001: any of them is a failed request
                self.problems.append(repr(problem))
                client = None
            time.sleep(0.002)

    def end(self):
        self.ended = True
        for thread in self.running:
            thread.join(patient(30))
        assert not self.problems, self.problems[:5]
        return self.answers


# --- the agent ---

def service(backend, name, check=None, **more):
    return {"Name": "web", "ID": name, "Address": "127.0.0.1", "Port": backend.port,
            **({"Check": check} if check else {}), **more}


def register(agent, backend, name, **more):
    reply = agent.call("PUT", "/v1/agent/service/register", service(backend, name, **more))
    assert reply.status == 200, reply.text


def of_agent(agent, more=""):
    return "discovery agent { address %s:8500; wait 10s }\npool web { from agent service web; %s }" % (agent.address, more)


def test_what_checks_say_at_a_real_agent_is_followed(agents, proxy, backends):
    agent = agents.server("d1").start().ready()
    register(agent, backends[0], "a")
    register(agent, backends[1], "b", check={"TTL": "10m", "Status": "passing"}, Weights={"Passing": 4, "Warning": 2})
    p = proxy(of_agent(agent), free_port())
    until(lambda: len(instances(p)) == 2)
    shares(p.port, b0=3, b1=12)

    agent.call("PUT", "/v1/agent/check/warn/service:b")
    until(lambda: instances(p)["d1/b"]["health_by_catalog"] == "warning")
    assert instances(p)["d1/b"]["weight"] == 2
    shares(p.port, b0=5, b1=10)

    agent.call("PUT", "/v1/agent/check/fail/service:b")
    until(lambda: instances(p)["d1/b"]["state"] == "failing")
    assert instances(p)["d1/b"]["health_by_catalog"] == "critical"
    assert answering(p.port, 6) == {"b0": 6}

    agent.call("PUT", "/v1/agent/check/pass/service:b")
    until(lambda: instances(p)["d1/b"]["state"] == "up")
    agent.call("PUT", "/v1/agent/service/maintenance/b?enable=true&reason=test")
    until(lambda: "d1/b" not in instances(p) or instances(p)["d1/b"]["state"] == "draining")
    assert answering(p.port, 6) == {"b0": 6}
    agent.call("PUT", "/v1/agent/service/maintenance/b?enable=false")
    until(lambda: set(answering(p.port, 6)) == {"b0", "b1"})


def test_an_agent_that_is_away_costs_nothing_and_is_followed_again(agents, proxy, backends):
    agent = agents.server("d1").start().ready()
    for i in range(2):
        register(agent, backends[i], "s%d" % i)
    p = proxy(of_agent(agent, "outlier { failures 3; base 1m }"), free_port())
    until(lambda: set(answering(p.port)) == {"b0", "b1"})
    load = Load(p.port)
    agent.kill()
    until(lambda: sources(p)["agent"]["stale"])
    age = sources(p)["agent"]["age_ms"]
    until(lambda: sources(p)["agent"]["age_ms"] > age + 300)
    assert "rollcall_proxy_source_healthy{pool=\"web\",source=\"agent\"} 0" in p.get("/metrics")[1]
    assert set(answering(p.port)) == {"b0", "b1"}
    # Health goes on by itself: who refuses is set aside.
    backends[0].stop()
    until(lambda: any(i["state"] == "ejected" for i in instances(p).values()))
    agent.start().ready()
    register(agent, backends[2], "s2")
    agent.call("PUT", "/v1/agent/service/deregister/s0")
    until(lambda: set(answering(p.port)) == {"b1", "b2"})
    assert not sources(p)["agent"]["stale"]
    assert load.end()["b2"] > 0


def test_an_agent_that_forgot_everything_is_followed(agents, proxy, backends):
    agent = agents.server("d1").start().ready()
    for number in range(20):  # its index is far ahead of what a new one begins with
        register(agent, backends[0], "s", Meta={"n": str(number)})
    p = proxy(of_agent(agent), free_port())
    until(lambda: set(answering(p.port)) == {"b0"})
    agent.kill()
    shutil.rmtree(agent.folder / "data")
    agent.start().ready()
    register(agent, backends[1], "other")
    until(lambda: set(answering(p.port)) == {"b1"})


class Recorded(Speaker):
    """Answers with a file."""

    def answer_to(self, path):
        text = (FIXTURES / "http/h090-health-service.txt").read_text()
        return 200, json.JSONDecoder().raw_decode(text[text.index("\n[") + 1:])[0]


def test_consuls_own_answer_is_understood(proxy, things):
    agent = Recorded()
    things.callback(agent.close)
    p = proxy("discovery agent { address 127.0.0.1:%d; wait 10s }\npool web { from agent service web }" % agent.port, free_port())
    until(lambda: instances(p))
    said = agent.answer_to("")[1]
    want = {}
    for entry in said:
        worst = max((["passing", "warning", "critical"].index(c["Status"]) for c in entry["Checks"]), default=0)
        address = entry["Service"]["Address"] or entry["Node"]["Address"]
        want["%s/%s" % (entry["Node"]["Node"], entry["Service"]["ID"])] = (
            "%s:%d" % (address, entry["Service"]["Port"]), ["passing", "warning", "critical"][worst])
    assert {k: (i["address"], i["health_by_catalog"]) for k, i in instances(p).items()} == want


class Near(Speaker):
    """Two instances: one on our agent's node, one ten milliseconds away."""
    status = "passing"

    def __init__(self, near, far):
        self.backends = {"here": near, "there": far}
        super().__init__()

    def answer_to(self, path):
        if path == "/v1/agent/self":
            return 200, {"Config": {"NodeName": "here"}}
        if path == "/v1/coordinate/nodes":
            return 200, [{"Node": node, "Segment": "", "Coord": {"Vec": [x] + [0.0] * 7, "Error": 0.1, "Adjustment": 0.0, "Height": 1e-5}}
                         for node, x in (("here", 0.0), ("there", 0.01))]
        return 200, [{"Node": {"Node": node, "Address": "127.0.0.1"},
                      "Service": {"ID": "web", "Service": "web", "Address": "", "Port": b.port, "Tags": [], "Weights": {"Passing": 1, "Warning": 1}},
                      "Checks": [{"CheckID": "c", "Status": self.status if node == "here" else "passing"}]}
                     for node, b in self.backends.items()]


def test_the_near_are_asked_first_and_the_others_when_they_fail(proxy, backends, things):
    agent = Near(*backends[:2])
    things.callback(agent.close)
    p = proxy("discovery agent { address 127.0.0.1:%d; wait 10s }\npool web { from agent service web; prefer near 5ms }" % agent.port,
              free_port())
    until(lambda: len(instances(p)) == 2 and instances(p)["here/web"]["near"])
    assert instances(p)["there/web"]["distance_us"] in range(9000, 11000)
    assert answering(p.port) == {"b0": 12}
    agent.tell(status="critical")
    until(lambda: set(answering(p.port)) == {"b1"})
    agent.tell(status="passing")
    until(lambda: set(answering(p.port)) == {"b0"})


# --- files ---

def write(path, *lines):
    """As careful people do: all of it, or nothing."""
    new = path.with_suffix(".new")
    new.write_text("\n".join(lines) + "\n")
    new.rename(path)


def test_a_file_is_followed_while_requests_run(tmp_path, proxy, backends):
    path = tmp_path / "web.instances"
    lines = ["127.0.0.1:%d id b%d" % (b.port, i) for i, b in enumerate(backends)]
    write(path, "# two of them", *lines[:2])
    p = proxy("pool web { from file \"%s\" }" % path, free_port())
    until(lambda: set(answering(p.port)) == {"b0", "b1"})
    load = Load(p.port)
    for _ in range(3):
        write(path, lines[2])
        until(lambda: set(answering(p.port)) == {"b2"})
        path.write_text("%s weight 3\n%s\n" % (lines[0], lines[1]))  # in place, too
        until(lambda: [i["weight"] for i in instances(p).values() if i["present"]] == [3, 1])
        until(lambda: set(answering(p.port)) == {"b0", "b1"})
    for broken, why in (("%s\nnonsense\n" % lines[2], "line 2: this is no address"), ("", "it names no instance")):
        path.write_text(broken)
        p.says(why)
        assert set(answering(p.port)) == {"b0", "b1"} and sources(p)["file"]["stale"]
    path.unlink()
    p.says("it is not there")
    assert set(answering(p.port)) == {"b0", "b1"}
    write(path, *lines)
    until(lambda: set(answering(p.port)) == {"b0", "b1", "b2"})
    p.reload()
    assert set(answering(p.port)) == {"b0", "b1", "b2"}
    load.end()


# --- DNS of others ---

class Knot:
    """A server of one zone."""

    def __init__(self, folder):
        self.folder, self.port, self.serial = folder, free_port(), 1
        folder.mkdir()

    def start(self, *records):
        (self.folder / "knot.conf").write_text(f"""server:
  rundir: {self.folder}
  listen: 127.0.0.1@{self.port}
log:
  - target: stderr
    any: warning
database:
  storage: {self.folder}
zone:
  - domain: example.
    file: {self.folder}/zone
    journal-content: none
    zonefile-sync: -1
    zonefile-load: whole
    semantic-checks: off
""")
        self.write(*records)
        self.process = subprocess.Popen(["knotd", "-c", str(self.folder / "knot.conf")])
        until(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() is None)
        return self

    def write(self, *records):
        self.serial += 1
        (self.folder / "zone").write_text("$ORIGIN example.\n$TTL 1\n@ SOA ns.example. x.example. %d 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n%s\n"
                                          % (self.serial, "\n".join(records)))

    def say(self, *records):
        self.write(*records)
        self.process.send_signal(signal.SIGHUP)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(patient(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def knot(tmp_path, things):
    if not shutil.which("knotd", path="/usr/sbin:/usr/bin"):
        pytest.skip("knotd is not there")
    made = Knot(tmp_path / "knot")
    yield made
    made.end()


def same_port(things, *addresses):
    """Backends on one port at several addresses."""
    made, port = [], free_port()
    for i, address in enumerate(addresses):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen(128)
        things.callback(server.close)

        def accept(server=server, name="a%d" % i):
            from proxy_lab import Stream
            backend = type("Nobody", (), {"note": staticmethod(lambda head: None)})
            with contextlib.suppress(OSError):
                while True:
                    connection = server.accept()[0]
                    threading.Thread(target=serve, args=(echo(name), Stream(connection), backend), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        made.append(address)
    return port


def serve(how, stream, backend):
    with contextlib.suppress(OSError, EOFError):
        how(stream, backend)
    stream.sock.close()


def dns(servers, more):
    return "discovery dns { servers %s; min_ttl 1s; max_ttl 1s; hold_empty 2s }\npool web { %s }" % (
        " ".join("127.0.0.1:%d" % s for s in servers), more)


def test_plain_addresses_of_another_server_are_followed(knot, proxy, things):
    port = same_port(things, "127.0.0.1", "127.0.0.2", "::1")
    knot.start("web A 127.0.0.1", "web A 127.0.0.2", "alias CNAME web")
    silent = free_port()  # nobody listens there: the next one is asked
    p = proxy(dns([silent, knot.port], "from dns A alias.example port %d" % port), free_port())
    until(lambda: set(answering(p.port)) == {"a0", "a1"})
    load = Load(p.port)
    knot.say("web A 127.0.0.2", "web AAAA ::1", "alias CNAME web")
    until(lambda: set(answering(p.port)) == {"a1", "a2"})
    knot.say("web A 127.0.0.2", "alias CNAME web")
    until(lambda: set(answering(p.port)) == {"a1"})
    # Nobody is believed only after a while; nothing is lost meanwhile, nor without any server.
    knot.end()
    until(lambda: sources(p)["dns"]["stale"])
    assert set(answering(p.port)) == {"a1"}
    load.end()
    knot.start("other A 127.0.0.1")
    until(lambda: Client(p.port).ask(get()).status == 503)


def test_service_records_of_another_server_are_followed(knot, proxy, things):
    one, two = same_port(things, "127.0.0.1"), same_port(things, "127.0.0.1")
    knot.start("_web._tcp SRV 1 3 %d h" % one, "_web._tcp SRV 1 1 %d h" % two, "_web._tcp SRV 2 1 9 h", "h A 127.0.0.1")
    p = proxy(dns([knot.port], "from dns _web._tcp.example"), free_port())
    until(lambda: {(i["address"], i["weight"]) for i in instances(p).values()}
          == {("127.0.0.1:%d" % one, 3), ("127.0.0.1:%d" % two, 1)})
    knot.say("_web._tcp SRV 1 3 %d h" % two, "h A 127.0.0.1")
    until(lambda: [i["address"] for i in instances(p).values()] == ["127.0.0.1:%d" % two])
    # More than a datagram holds.
    knot.say("h A 127.0.0.1", *("_web._tcp SRV 1 1 %d h" % port for port in range(1000, 1300)))
    until(lambda: len([i for i in instances(p).values() if i["present"]]) == 300)
