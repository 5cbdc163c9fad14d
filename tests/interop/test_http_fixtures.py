#!/usr/bin/python3
"""Replays captured exchanges with Consul 1.10 against two rollcall agents and compares.

    sudo tests/interop/test_http_fixtures.py [--url URL] [BINARY]

The captures are tests/fixtures/http/*.txt, in their order, because later ones see what earlier
ones wrote. What must differ is listed, with the reason, in tests/fixtures/http/DEVIATIONS.md; a
difference that is not listed fails, and so does a listed one that is no difference any more.
Agents run in a network namespace of their own. With --url an agent that runs already is taken
(and there is no second one).
"""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from patience import patient

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/http"

# What the captures' setup put into the catalog by hand. Here every node has its agent.
FOREIGN_NODES = {"ext1", "extfq", "sick", "Dotted.Node", "v6node"}
FOREIGN_SERVICES = {"ext", "extfq", "onsick", "v6n", "consul"}
HEADERS = ["Allow", "Location", "Content-Type", "Vary", "X-Cache", "X-Consul-Default-Acl-Policy", "X-Consul-Knownleader",
           "X-Consul-Lastcontact", "X-Consul-Effective-Consistency", "X-Consul-Reason"]
PRESENT = ["X-Consul-Index", "X-Consul-Contenthash"]  # any value will do
VARYING = {"CreateIndex", "ModifyIndex", "ContentHash", "DebugConfig", "Coord", "Stats", "Revision", "Version",
           "Timestamp", "DelegateCur", "SessionTTLMin", "consul-network-segment", "Flaps", "Restart"}


class Fixture:
    def __init__(self, path):
        text = path.read_bytes().decode()
        self.name = path.stem
        request, response = re.search(r"== request\n(.*?)\n== response\n(.*?)\n== end", text, re.S).groups()
        head, _, body = (request + "\n\n").partition("\n\n")
        lines = head.split("\n")
        self.method, self.target, _ = lines[0].split(" ")
        self.headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        self.body = body.rstrip("\n")
        head, _, self.answer = (response + "\n").partition("\n\n")
        lines = head.split("\n")
        self.status = int(lines[0].split(" ")[0])
        self.answer_headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        if self.answer.endswith("\n"):
            self.answer = self.answer[:-1]


class Api:
    def __init__(self, address, port):
        self.address, self.port = address, port
        self.ids = {}  # of the captures' sessions and queries -> of ours

    def __call__(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        connection.request(method, target, body.encode() if body else None, headers or {})
        answer = connection.getresponse()
        content = answer.read().decode(errors="replace")  # a snapshot is no text
        connection.close()
        return answer.status, {k.title(): v for k, v in answer.getheaders()}, content

    def register(self, **service):
        status, _, text = self("PUT", "/v1/agent/service/register", json.dumps(service))
        assert status == 200, (service, text)


def set_up(api):
    """The data that the captures' README lists."""
    def ttl(status, **more):
        return {"TTL": "1h", "Status": status, **more}

    api.register(ID="web1", Name="web", Tags=["v1", "primary"], Address="10.0.0.11", Port=8080, Meta={"zone": "a"}, Check=ttl("passing"))
    api.register(ID="web2", Name="web", Tags=["v2"], Port=8081, Weights={"Passing": 5, "Warning": 2}, Check=ttl("warning", Name="w2"))
    api.register(ID="web3", Name="web", Tags=["v1"], Address="10.0.0.13", Port=8082, Check=ttl("critical"))
    api.register(Name="six", Address="2001:db8::5", Port=9000)
    api.register(ID="dual4", Name="dual", Address="10.0.0.44", Port=1)
    api.register(ID="dual6", Name="dual", Address="2001:db8::44", Port=1)
    api.register(Name="fq", Address="db.example.test", Port=1)
    api.register(Name="infq", Address="web.service.consul", Port=1)
    api.register(ID="down1", Name="down", Port=1, Check=ttl("critical"))
    api.register(Name="noport")
    api.register(Name="under_score", Address="10.0.0.77", Port=7000, Tags=["a.b", "UPPER"])
    api.register(ID="pgdemo/pg1", Name="pgdemo", Address="10.0.0.51", Port=5432, Tags=["master", "primary"])
    api.register(ID="pgdemo/pg2", Name="pgdemo", Address="10.0.0.52", Port=5432, Tags=["replica"])
    for i in range(40):
        api.register(ID=f"many{i}", Name="many", Address=f"10.0.1.{i + 1}", Port=6000 + i)


def is_foreign(value):
    if not isinstance(value, dict):
        return False
    node = value.get("Node")
    name = node.get("Node") if isinstance(node, dict) else node
    return name in FOREIGN_NODES or value.get("Service") == "consul" or value.get("ServiceName") == "consul"


def normal(value, key=""):
    """Without what varies from run to run; lists without order; null, [] and {} alike."""
    if key in VARYING or value in (None, [], {}):
        return None  # our nodes have no network segment; members may speak another delegate version
    if isinstance(value, dict):
        if "NodeFilter" in value:  # an event: its ID is another each time
            value = {k: v for k, v in value.items() if k not in ("ID", "LTime")}
        return {k: normal(v, k) for k, v in value.items() if k not in FOREIGN_SERVICES or not isinstance(v, (list, dict))
                if normal(v, k) is not None}
    if isinstance(value, list):
        items = [normal(v) for v in value if not is_foreign(v)]
        return sorted(items, key=lambda v: json.dumps(v, sort_keys=True)) or None
    return value


def same_tags(value):
    """Gossip tags that name features of a build come and go."""
    if isinstance(value, list):
        return [same_tags(v) for v in value]
    if isinstance(value, dict):
        return {k: {t: x for t, x in v.items() if t in ("dc", "id", "role", "port")} if k == "Tags" and isinstance(v, dict)
                else same_tags(v) for k, v in value.items()}
    return value


def body_of(text, content_type):
    if "json" not in (content_type or ""):
        return re.sub(r"(Failed to join \S+:).*", r"\1", text).strip()
    return normal(same_tags(json.loads(text)))


def difference(fixture, status, headers, text):
    """A phrase, or None when it is the same."""
    if status != fixture.status:
        return f"status {status}, not {fixture.status}: {text[:90]!r}"
    for name in HEADERS:
        want = fixture.answer_headers.get(name)
        if want is not None and headers.get(name) != want:
            return f"{name}: {headers.get(name)}, not {want}"
    for name in PRESENT:
        if name in fixture.answer_headers and not headers.get(name):
            return f"{name} is missing"
    if fixture.method in ("HEAD", "OPTIONS"):
        return None
    want, got = (body_of(t, fixture.answer_headers.get("Content-Type")) for t in (fixture.answer, text))
    if want != got:
        a, b = (json.dumps(v, sort_keys=True) if not isinstance(v, str) else v for v in (want, got))
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        at = max(0, at - 20)
        return f"body ...{b[at:at + 90]!r}, not ...{a[at:at + 90]!r}"
    return None


class Cluster:
    """node1, a server, and node2."""

    def __init__(self, binary):
        self.folder = tempfile.TemporaryDirectory()
        self.agents = {}
        self.start(binary, "node1", "127.0.0.10", {"rack": "r1", "rfc1035-note": "value only"}, server=True, bootstrap_expect=1)
        until(lambda: Api("127.0.0.10", 8500)("GET", "/v1/status/leader")[0] == 200, 30)
        self.start(binary, "node2", "127.0.0.11", {"rack": "r2"}, retry_join=["127.0.0.10"])

    def start(self, binary, name, address, meta, **more):
        folder = Path(self.folder.name) / name
        folder.mkdir()
        settings = {"node_name": name, "node_id": "-".join(name[-1] * n for n in (8, 4, 4, 4, 12)), "datacenter": "dc1",
                    "data_dir": str(folder / "data"), "bind_addr": address, "client_addr": address, "node_meta": meta,
                    "enable_local_script_checks": True, **more}
        (folder / "agent.json").write_text(json.dumps(settings))
        with open(folder / "log", "w") as log:
            self.agents[name] = subprocess.Popen([binary, "agent", "-config-file", str(folder / "agent.json")], stdout=log, stderr=log)

    def kill(self, name):
        self.agents[name].send_signal(signal.SIGKILL)
        self.agents[name].wait()

    def close(self):
        for agent in self.agents.values():
            if agent.poll() is None:
                agent.terminate()
        for agent in self.agents.values():
            agent.wait(patient(30))
        self.folder.cleanup()

    def last_words(self):
        return "\n".join(f"{n}: {(Path(self.folder.name) / n / 'log').read_text()[-1500:]}" for n in self.agents)


def until(question, seconds):
    end = time.monotonic() + patient(seconds)
    while time.monotonic() < end:
        try:
            if question():
                return
        except (OSError, ValueError, KeyError, IndexError):
            pass
        time.sleep(0.1)
    raise AssertionError("timed out")


# Bodies that the captures only name.
LONG_BODIES = {"(600000 bytes)": "x" * 600000, "(65 get operations)": json.dumps([{"KV": {"Verb": "get", "Key": "t/1"}}] * 65)}
FIRST_SESSION, SECOND_SESSION = "28eecfde-19f3-dd8e-9870-a50b13a803d8", "d261a0c7-cbf5-91e5-c91b-900d854876f7"
MADE = {"h140": FIRST_SESSION, "h180": "4bd4895a-a861-4129-6fcb-4ebf7beda119"}  # exchanges that make what later ones name


def before(fixture, api, cluster):
    """What happened between two captures."""
    fixture.body = LONG_BODIES.get(fixture.body, fixture.body)
    if fixture.name.startswith("h122"):
        pair = json.loads(api("GET", "/v1/kv/app/config/port")[2])[0]
        fixture.target = fixture.target.replace("cas=109", f"cas={pair['ModifyIndex']}")
    elif fixture.name.startswith("h149"):
        api.ids[SECOND_SESSION] = json.loads(api("PUT", "/v1/session/create", "{}")[2])["ID"]
    for theirs, ours in api.ids.items():
        fixture.target = fixture.target.replace(theirs, ours)
        fixture.answer = fixture.answer.replace(theirs, ours)
    if fixture.name.startswith("h102"):  # its index is the one of the capture
        _, headers, _ = api("GET", "/v1/health/service/web")
        fixture.target = fixture.target.replace("index=99", "index=" + headers["X-Consul-Index"])
    elif fixture.name.startswith("h103"):
        _, headers, _ = api("GET", "/v1/health/service/web")
        fixture.target = fixture.target.replace("index=99", "index=" + headers["X-Consul-Index"])
        threading.Timer(1, lambda: api("PUT", "/v1/agent/check/fail/service:web1")).start()
    elif fixture.name.startswith("h184"):
        api("POST", "/v1/query", fixture.body)
    elif fixture.name.startswith(("h182", "h220")):
        api("PUT", "/v1/agent/check/pass/service:web1")
    elif fixture.name.startswith("h240") and cluster is not None:
        Api("127.0.0.11", 8500).register(Name="onn2", Address="10.0.3.1", Port=1234)
        until(lambda: json.loads(api("GET", "/v1/catalog/service/onn2")[2]), 30)
        cluster.kill("node2")
        until(lambda: json.loads(api("GET", "/v1/health/node/node2")[2])[0]["Status"] == "critical", 60)
    elif fixture.name.startswith("h245"):
        time.sleep(1)


def read_deviations():
    rows = re.findall(r"^\| (h\d+)(?:-(h\d+))? \| (.*?) \|$", (FIXTURES / "DEVIATIONS.md").read_text(), re.M)
    known = {}
    for first, last, reason in rows:
        for number in range(int(first[1:]), int((last or first)[1:]) + 1):
            known[f"h{number:03}"] = reason
    return known


def replay(api, cluster):
    """Prints one line a surprise and the sum; returns how many surprises there were."""
    known = read_deviations()
    same, listed, surprises = 0, 0, []
    fixtures = [Fixture(path) for path in sorted(FIXTURES.glob("h*.txt"))]
    for fixture in fixtures:
        before(fixture, api, cluster)
        try:
            answer = api(fixture.method, fixture.target, fixture.body, fixture.headers)
            theirs = MADE.get(fixture.name[:4])
            if theirs and answer[0] == 200:
                api.ids[theirs] = json.loads(answer[2])["ID"]
                fixture.answer = fixture.answer.replace(theirs, api.ids[theirs])
            elif fixture.name.startswith("h144") and answer[0] == 200:  # which Consul had refused
                api("PUT", "/v1/session/destroy/" + json.loads(answer[2])["ID"])
            found = difference(fixture, *answer)
        except (OSError, http.client.HTTPException) as error:
            found = f"no answer: {error}"
        if fixture.name[:4] in known:
            listed += 1
            if found is None:
                surprises.append(f"{fixture.name}: is listed in DEVIATIONS.md, but is the same")
        elif found is None:
            same += 1
        else:
            surprises.append(f"{fixture.name}: {found}")
    print("\n".join(surprises))
    print(f"{same} of {len(fixtures)} exchanges are the same, {listed} differ for a listed reason, {len(surprises)} surprises")
    return len(surprises)


def main(arguments):
    if arguments[:1] == ["--url"]:
        address, port = arguments[1].removeprefix("http://").split(":")
        api = Api(address, int(port))
        set_up(api)
        return replay(api, None)
    binary = arguments[0] if arguments else str(ROOT / "build/release/rollcall")
    cluster = Cluster(binary)
    api = Api("127.0.0.10", 8500)
    try:
        until(lambda: len(json.loads(api("GET", "/v1/catalog/nodes")[2])) == 2, 30)
        set_up(api)
        return replay(api, cluster)
    except AssertionError:
        print(cluster.last_words())
        raise
    finally:
        cluster.close()


def test_agents_answer_as_consul_does():
    binary = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
    run = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-B", __file__, str(binary)],
                         capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stdout + run.stderr


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
