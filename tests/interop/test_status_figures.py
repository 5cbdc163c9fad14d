"""What the status page asks beyond Consul's API: events, flaps, gossip, and proxies that registered themselves."""
import contextlib
import json
import socket
import subprocess
import threading
import time

import pytest

from patience import patient
from store_agents import BINARY, Agents, until

PROXY = BINARY.with_name("rollcall-proxy")
EVENTS = "/v1/internal/ui/events"
PROXIES = "/v1/internal/ui/proxies"


@pytest.fixture
def agents(tmp_path):
    made = Agents(tmp_path)
    yield made
    made.end()


def events(agent, **wanted):
    query = "&".join(f"{key}={value}" for key, value in wanted.items())
    return agent.call("GET", f"{EVENTS}?{query}").json


def register(agent, **service):
    assert agent.call("PUT", "/v1/agent/service/register", service).status == 200


def ttl(agent, verb, note=""):
    assert agent.call("PUT", f"/v1/agent/check/{verb}/service:web?note={note}").status == 200


def names(agent, service):
    return [entry["ServiceID"] for entry in agent.call("GET", f"/v1/catalog/service/{service}").json]


def test_an_agent_tells_what_happened_since_it_joined_and_nothing_that_was_there_before(agents):
    one = agents.add("one").start()
    until(lambda: one.call("GET", "/v1/status/leader").status == 200)
    register(one, Name="old", Port=1)
    two = agents.client("two").start()
    until(lambda: names(two, "old"))
    assert not events(two)

    register(one, Name="web", Port=80, Check={"TTL": "60s"})
    until(lambda: events(two, kind="register", service="web"))
    ttl(one, "pass")
    until(lambda: [c for c in two.call("GET", "/v1/health/checks/web").json if c["Status"] == "passing"])
    index = two.call("GET", EVENTS).index

    answers = []
    waiter = threading.Thread(target=lambda: answers.append(two.call("GET", f"{EVENTS}?index={index}&kind=check&wait=60s")))
    waiter.start()
    ttl(one, "fail", "broken")
    waiter.join(patient(30))
    assert [(e["Node"], e["Check"], e["From"], e["To"], e["Text"]) for e in answers[0].json] \
        == [("one", "service:web", "passing", "critical", "broken")]
    ttl(one, "pass")
    until(lambda: len(events(two, kind="check")) == 2)
    checks = [c for n in two.call("GET", "/v1/internal/ui/nodes").json for c in n["Checks"] if c["CheckID"] == "service:web"]
    assert [c["Flaps"] for c in checks] == [2]
    assert one.call("GET", "/v1/agent/checks").json["service:web"]["Flaps"] == 2

    assert one.call("PUT", "/v1/agent/service/maintenance/web?enable=true&reason=disks").status == 200
    until(lambda: [e["Text"] for e in events(two, kind="maintenance")] == ["disks"])
    assert one.call("PUT", "/v1/agent/service/deregister/web").status == 200
    until(lambda: events(two, kind="deregister", service="web"))

    three = agents.client("three").start()
    until(lambda: three.call("GET", "/v1/status/leader").status == 200)

    def comes_back():
        """What a join brings comes within two seconds: who comes back later is news."""
        known = len(events(two, kind="failed", node="three"))
        three.kill()
        until(lambda: len(events(two, kind="failed", node="three")) > known, 60)
        three.start()
        until(lambda: two.call("GET", "/v1/internal/ui/node/three").json["Liveness"] == "alive")
        return events(two, kind="join", node="three")

    until(comes_back, 100)
    assert not events(two, service="old")
    assert two.call("GET", f"{EVENTS}?kind=nonsense").status == 400


def test_ten_thousand_changes_leave_a_short_history_and_a_lively_agent(agents):
    one = agents.add("one").start()
    until(lambda: one.call("GET", "/v1/status/leader").status == 200)
    checks = [{"CheckID": f"c{i}", "TTL": "1h", "Status": "passing"} for i in range(100)]
    register(one, Name="web", Port=80, Checks=checks)
    for turn in range(100):
        status = "critical" if turn % 2 == 0 else "passing"
        checks = [{**c, "Status": status} for c in checks]
        register(one, Name="web", Port=80, Checks=checks)
    told = events(one)
    assert len(told) <= 4096
    assert [e["Index"] for e in told] == sorted({e["Index"] for e in told})
    assert one.call("GET", f"{EVENTS}?limit=1").json[0]["Index"] == told[-1]["Index"]


@contextlib.contextmanager
def proxy(folder, agent, port, more=""):
    config = folder / f"proxy{port}.conf"
    config.write_text(f"admin off\nfigures {agent.address}:{port}\ngrace 0s\n"
                      f"discovery agent {{ address {agent.address}:8500; register }}\n"
                      f"pool web {{ static {agent.address}:1 }}\n"
                      f"listen http {agent.address}:{port + 1} {{ route / {{ pool web; name front }} }}\n{more}")
    with open(folder / f"proxy{port}.log", "a") as log:
        process = subprocess.Popen([PROXY, "-config", config], stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(patient(20))


def ask(address, port, method="GET", path="/figures", host=None):
    with socket.create_connection((address, port), timeout=patient(10)) as link:
        link.sendall(f"{method} {path} HTTP/1.0\r\nHost: {host or address}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), body


def test_a_proxy_is_a_service_while_it_serves_and_again_after_its_agent_forgot_it(agents, tmp_path):
    one = agents.add("one").start()
    two = agents.client("two").start()
    until(lambda: len(two.call("GET", "/v1/catalog/nodes").json) == 2)
    with proxy(tmp_path, one, 8801) as process:
        until(lambda: names(two, "rollcall-proxy") == ["rollcall-proxy-8801"])
        for _ in range(3):
            assert ask(one.address, 8802, path="/")[0] in (502, 503)
        shown = until(lambda: [p for p in two.call("GET", PROXIES).json if p["Figures"]])
        assert [(p["Node"], p["Port"], p["Error"]) for p in shown] == [("one", 8801, "")]
        assert [r["Route"] for r in shown[0]["Figures"]["Routes"]] == ["front"]
        assert shown[0]["Figures"]["Pools"][0]["Instances"][0]["Address"] == f"{one.address}:1"

        assert ask(one.address, 8801, path="/health") == (200, b"ok\n")
        assert b"rollcall_proxy_http_requests_total" in ask(one.address, 8801, path="/metrics")[1]
        assert ask(one.address, 8801, path="/config")[0] == 404
        assert ask(one.address, 8801, "POST", "/reload")[0] == 405
        assert ask(one.address, 8801, host="evil.example")[0] == 403  # it listens on a loopback address

        assert one.call("PUT", "/v1/agent/service/deregister/rollcall-proxy-8801").status == 200
        until(lambda: names(two, "rollcall-proxy"), 60)  # it looks every ten seconds
        process.terminate()
        process.wait(patient(20))
        until(lambda: not names(two, "rollcall-proxy"))


def served(listener, talk):
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=talk, args=(link,), daemon=True).start()


def flood(link):
    with contextlib.suppress(OSError):
        link.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        while True:
            link.sendall(b"x" * 65536)


def secret(link):
    link.recv(4096)
    link.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"Version":"<b>","Routes":[],"Pools":[],"Secret":"sesame"}')
    link.close()


def test_whoever_registers_an_address_cannot_hang_flood_or_aim_an_agent(agents):
    one = agents.add("one").start()
    two = agents.client("two").start()
    until(lambda: len(one.call("GET", "/v1/catalog/nodes").json) == 2)
    ports = {}
    for name, talk in (("hang", lambda link: time.sleep(patient(60))), ("flood", flood), ("secret", secret)):
        listener = socket.create_server((two.address, 0))
        ports[name] = listener.getsockname()[1]
        threading.Thread(target=served, args=(listener, talk), daemon=True).start()
    for name, port in ports.items():
        register(two, Name="rollcall-proxy", ID=name, Port=port)
    for name, address, port in (("aimed", one.address, 8500), ("cloud", "169.254.169.254", 80), ("name", "evil.example", 80)):
        register(two, Name="rollcall-proxy", ID=name, Address=address, Port=port)
    until(lambda: len(names(one, "rollcall-proxy")) == 6)

    told = {p["ServiceID"]: p for p in one.call("GET", PROXIES).json}
    assert {name: p["Error"] for name, p in told.items()} == {
        "hang": "it does not answer in time", "flood": "its answer is too long", "secret": "",
        "aimed": "not asked: its address is not its node's", "cloud": "not asked: its address is no usable one",
        "name": "not asked: its address is no IP address"}
    assert told["secret"]["Figures"]["Version"] == "<b>" and "sesame" not in json.dumps(told)


def test_the_page_is_kept_from_other_sites(agents):
    one = agents.add("one", http_config={"allow_hosts": ["adm.example"]}).start()
    until(lambda: one.call("GET", "/v1/status/leader").status == 200)
    headers = one.call("GET", "/ui/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    answer = one.call("GET", "/v1/catalog/nodes", headers={"Origin": "https://evil.example"})
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    assert one.call("GET", "/v1/catalog/nodes").headers["x-content-type-options"] == "nosniff"
    got = {host: one.call("GET", "/v1/status/leader", headers={"Host": host}).status
           for host in ("evil.example", "adm.example", "localhost:8500", "one", "one.node.rollcall", "rollcall.evil.example")}
    assert got == {"evil.example": 403, "adm.example": 200, "localhost:8500": 200, "one": 200, "one.node.rollcall": 200,
                   "rollcall.evil.example": 403}


def test_figures_of_gossip_agree_on_a_key_and_do_not_tell_it(agents):
    key = "ReRmE2u1ucnGZbK1Uf3dcb1sdXEb0TB84NYYoKzQWdA="
    one = agents.add("one", encrypt=key).start()
    two = agents.client("two", encrypt=key).start()
    until(lambda: len(one.call("GET", "/v1/catalog/nodes").json) == 2)
    told = [agent.call("GET", "/v1/internal/ui/gossip") for agent in (one, two)]
    assert told[0].json["Members"]["alive"] == 2
    assert told[0].json["KeyRing"]["Keys"] == 1 and told[0].json["KeyRing"]["Agree"] is True
    assert told[0].json["KeyRing"]["Primary"] == told[1].json["KeyRing"]["Primary"] != ""
    assert key[:8] not in told[0].text
