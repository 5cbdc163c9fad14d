"""Tokens, with real agents: a server with its store on disk, and an agent that has to ask it who is who."""
import http.client
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from serf_pool import LONG, ROLLCALL, Namespace, until

SERVER, PLAIN, AFAR = "127.0.0.1", "127.0.0.2", "10.9.9.1"
FRESH_S = 30  # what an agent was told of a token counts as long
UNKNOWN = "11111111-2222-3333-4444-555555555555"
ANONYMOUS = "00000000-0000-0000-0000-000000000002"
CANARY = "ca9a4700-7000-4000-8000-0000000ca9a4"  # the SecretID of a token that is searched for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class Agent:
    def __init__(self, folder, name, ip, *words, acl=None, client=None):
        self.folder, self.name, self.ip, self.client = folder, name, ip, client or ip
        self.data, self.log = folder / name, folder / (name + ".log")
        self.config = folder / (name + ".json")
        self.config.write_text(json.dumps({"acl": {"enabled": True, **(acl or {})}}))
        self.words, self.process = words, None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [ROLLCALL, "agent", "-node", self.name, "-bind", self.ip, "-client", self.client,
                 "-data-dir", str(self.data), "-retry-interval", "1s", "-log-level", "trace",
                 "-config-file", str(self.config), *self.words], stdout=log, stderr=log)
        until(LONG, self.answers, lambda: "%s answers: %s" % (self.name, self.said()[-3000:]))
        return self

    def answers(self):
        assert self.process.poll() is None, self.said()[-3000:]
        try:
            return self.ask("GET", "/v1/status/leader")[0] == 200
        except OSError:
            return False

    def said(self):
        return self.log.read_text(errors="replace")

    def ask(self, method, path, body=None, token=None, ip=None, headers=None):
        """Status, headers, text."""
        connection = http.client.HTTPConnection(ip or self.ip, 8500, timeout=LONG)
        try:
            headers = dict(headers or {}, **({"X-Consul-Token": token} if token else {}))
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def run(self, *words, token=None, check=True):
        environment = {k: v for k, v in os.environ.items() if "HTTP" not in k}
        environment["CONSUL_HTTP_ADDR"] = self.ip + ":8500"
        if token:
            environment["ROLLCALL_HTTP_TOKEN"] = token
        return subprocess.run([ROLLCALL, *words], env=environment, capture_output=True, text=True, timeout=LONG,
                              check=check)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Pool:
    def __init__(self, folder):
        self.folder, self.agents = folder, []

    def add(self, name, ip, *words, **more):
        agent = Agent(self.folder, name, ip, "-retry-join", SERVER, *words, **more).start()
        self.agents.append(agent)
        return agent

    def server(self, **more):
        agent = self.add("s1", SERVER, "-server", **more)
        until(LONG, lambda: agent.ask("GET", "/v1/kv/none")[0] in (403, 404), agent.said)
        return agent


def bootstrap(server):
    return json.loads(server.run("acl", "bootstrap", "-format", "json").stdout)["SecretID"]


def make(agent, admin, rules=None, name="p", **token):
    """A token with one policy of these rules."""
    if rules is not None:
        status, _, text = agent.ask("PUT", "/v1/acl/policy", json.dumps({"Name": name, "Rules": rules}), admin)
        assert status == 200, text
        token["Policies"] = [{"Name": name}]
    status, _, text = agent.ask("PUT", "/v1/acl/token", json.dumps(token), admin)
    assert status == 200, text
    return json.loads(text)


@pytest.fixture
def pool(tmp_path):
    namespace = Namespace()
    made = Pool(tmp_path)
    yield made
    for agent in made.agents:
        agent.kill()
    namespace.leave()


def test_answers_are_consuls(pool):
    """The exchanges h230 to h238, but for the words told in DEVIATIONS.md."""
    server = pool.server()
    admin = bootstrap(server)
    status, headers, text = server.ask("GET", "/v1/catalog/nodes")
    assert (status, text, headers["X-Consul-Default-Acl-Policy"]) == (200, "[]", "deny")
    assert server.ask("GET", "/v1/kv/x")[0] == 403
    status, headers, text = server.ask("GET", "/v1/kv/x?recurse")
    assert (status, text) == (404, "") and "X-Consul-Index" in headers
    status, _, text = server.ask("PUT", "/v1/agent/service/register", '{"Name": "x"}')
    assert (status, text) == (403, "Permission denied: token with AccessorID '%s' lacks permission 'service:write' "
                                   'on "x"' % ANONYMOUS)
    status, headers, text = server.ask("GET", "/v1/catalog/nodes", token=UNKNOWN)
    assert (status, text, headers["X-Consul-Knownleader"]) == (403, "ACL not found", "false")
    status, headers, text = server.ask("GET", "/v1/acl/token/self", headers={"Authorization": "Bearer " + admin})
    token = json.loads(text)
    assert list(token) == ["AccessorID", "SecretID", "Description", "Policies", "Local", "CreateTime", "Hash",
                           "CreateIndex", "ModifyIndex"]
    assert token["SecretID"] == admin and token["Policies"][0]["Name"] == "global-management"
    assert headers["X-Consul-Knownleader"] == "true"
    status, _, text = server.ask("PUT", "/v1/acl/bootstrap")
    assert status == 403
    assert re.fullmatch(r"Permission denied: ACL bootstrap no longer allowed \(reset index: \d+\)", text)
    assert server.ask("GET", "/v1/status/leader")[0] == 200
    policy = json.loads(server.ask("GET", "/v1/acl/policies", token=admin)[2])[0]
    assert list(policy) == ["ID", "Name", "Description", "Datacenters", "Hash", "CreateIndex", "ModifyIndex"]
    assert (policy["ID"], policy["Datacenters"]) == ("00000000-0000-0000-0000-000000000001", None)
    assert server.ask("GET", "/v1/acl/auth-methods", token=admin)[0] == 501
    assert server.ask("GET", "/v1/acl/list", token=admin)[0] == 410


def test_before_the_first_token_only_the_machine_itself_may_write(pool):
    subprocess.run(["ip", "addr", "add", AFAR + "/32", "dev", "lo"], check=True)
    server = pool.server(client="0.0.0.0")
    assert server.ask("GET", "/v1/catalog/nodes", ip=AFAR)[0] == 200
    assert server.ask("PUT", "/v1/kv/x", b"1", ip=AFAR)[0] == 403
    assert server.ask("PUT", "/v1/agent/service/register", '{"Name": "x"}', ip=AFAR)[0] == 403
    assert server.ask("PUT", "/v1/acl/bootstrap", ip=AFAR)[0] == 403
    assert server.ask("PUT", "/v1/kv/x", b"1")[0] == 200
    assert bootstrap(server)
    assert server.ask("PUT", "/v1/kv/x", b"1")[0] == 403


def test_who_has_lost_all_tokens_writes_a_file(pool):
    server = pool.server()
    first = bootstrap(server)
    index = re.search(r"reset index: (\d+)", server.ask("PUT", "/v1/acl/bootstrap")[2]).group(1)
    path = server.data / "acl-bootstrap-reset"
    path.write_text("1\n")
    assert server.ask("PUT", "/v1/acl/bootstrap")[0] == 403
    path.write_text(index + "\n")
    second = bootstrap(server)
    assert not path.exists()
    assert server.ask("PUT", "/v1/acl/bootstrap")[0] == 403
    for token in (first, second):
        assert server.ask("GET", "/v1/acl/tokens", token=token)[0] == 200


def test_tokens_outlive_a_restart(pool):
    server = pool.server()
    admin = bootstrap(server)
    token = make(server, admin, 'key_prefix "app/" { policy = "write" }')["SecretID"]
    server.kill()
    server.start()
    until(LONG, lambda: server.ask("PUT", "/v1/kv/app/x", b"1", token)[0] == 200, server.said)
    assert server.ask("PUT", "/v1/kv/b", b"1", token)[0] == 403


@pytest.mark.slow
def test_a_plain_agent_asks_a_server_who_is_who(pool):
    server = pool.server()
    plain = pool.add("a1", PLAIN)
    admin = bootstrap(server)
    until(LONG, lambda: plain.ask("GET", "/v1/acl/token/self", token=admin)[0] == 200, plain.said)
    token = make(plain, admin, 'service "web" { policy = "write" } node_prefix "" { policy = "read" }')
    secret = token["SecretID"]
    assert plain.ask("PUT", "/v1/agent/service/register", '{"Name": "web"}', secret)[0] == 200
    status, _, text = plain.ask("PUT", "/v1/agent/service/register", '{"Name": "db"}', secret)
    assert status == 403 and token["AccessorID"] in text
    assert plain.ask("GET", "/v1/catalog/nodes", token=UNKNOWN)[2] == "ACL not found"
    status, headers, text = plain.ask("GET", "/v1/catalog/services")
    assert (text, headers["X-Consul-Results-Filtered-By-ACLs"]) == ("{}", "true")
    assert list(json.loads(plain.ask("GET", "/v1/catalog/services", token=secret)[2])) == ["web"]
    # A blocking query begins with asking, too.
    index = plain.ask("GET", "/v1/catalog/services", token=secret)[1]["X-Consul-Index"]
    begun = time.monotonic()
    assert plain.ask("GET", "/v1/catalog/services?wait=1s&index=" + index, token=secret)[0] == 200
    assert time.monotonic() - begun > 0.9
    # A token that was ended is refused there as soon as the server tells of it, long before FRESH_S.
    assert plain.ask("GET", "/v1/catalog/nodes", token=secret)[0] == 200
    assert server.ask("DELETE", "/v1/acl/token/" + token["AccessorID"], token=admin)[2] == "true"
    assert server.ask("GET", "/v1/catalog/nodes", token=secret)[0] == 403
    begun = time.monotonic()
    until(FRESH_S / 2, lambda: plain.ask("GET", "/v1/catalog/nodes", token=secret)[0] == 403, "ended")
    print("refused after %.3f s" % (time.monotonic() - begun))
    # The same for a policy that was changed, and for one that gives more.
    policy = token["Policies"][0]["ID"]
    other = make(plain, admin, Policies=[{"ID": policy}])["SecretID"]
    assert plain.ask("PUT", "/v1/agent/service/register", '{"Name": "web"}', other)[0] == 200
    rules = {"Name": "p", "Rules": 'service "db" { policy = "write" }'}
    assert server.ask("PUT", "/v1/acl/policy/" + policy, json.dumps(rules), admin)[0] == 200
    until(FRESH_S / 2, lambda: plain.ask("PUT", "/v1/agent/service/register", '{"Name": "db"}', other)[0] == 200, "more")
    assert plain.ask("PUT", "/v1/agent/service/register", '{"Name": "web"}', other)[0] == 403


def test_who_guesses_tokens_has_to_wait(pool):
    server = pool.server()
    plain = pool.add("a1", PLAIN)
    admin = bootstrap(server)
    until(LONG, lambda: plain.ask("GET", "/v1/acl/token/self", token=admin)[0] == 200, plain.said)
    for agent in (server, plain):
        for path in ("/v1/catalog/nodes", "/v1/kv/x"):
            assert agent.ask("GET", "/v1/acl/token/self", token=admin)[0] == 200
            got = [agent.ask("GET", path, token="%s%012d" % (UNKNOWN[:-12], i))[0] for i in range(200)]
            assert set(got) <= {403, 429} and got[-1] == 429 and got.count(403) < 100, got
            assert agent.ask("GET", "/v1/acl/token/self", token=admin)[0] == 200  # it was right before


@pytest.mark.slow
@pytest.mark.parametrize("down", ["extend-cache", "deny"])
def test_without_servers_who_was_known_goes_on(pool, down):
    server = pool.server()
    plain = pool.add("a1", PLAIN, acl={"down_policy": down})
    admin = bootstrap(server)
    until(LONG, lambda: plain.ask("GET", "/v1/agent/self", token=admin)[0] == 200, plain.said)
    late = make(server, admin, 'agent_prefix "" { policy = "read" }')["SecretID"]
    server.kill()
    assert plain.ask("GET", "/v1/agent/self", token=late)[0] == 403  # never heard of
    assert plain.ask("GET", "/v1/agent/self")[0] == 403
    if down == "extend-cache":
        end = time.monotonic() + FRESH_S + 5
        while time.monotonic() < end:
            assert plain.ask("GET", "/v1/agent/self", token=admin)[0] == 200
            time.sleep(1)
    else:
        until(FRESH_S + LONG, lambda: plain.ask("GET", "/v1/agent/self", token=admin)[0] == 403, "denied")


def answer_of(agent, name):
    return subprocess.run(["dig", "+short", "+tries=1", "-p", "8600", "@" + agent.ip, name], capture_output=True,
                          text=True, timeout=LONG, check=False).stdout.split()


@pytest.mark.slow
def test_dns_shows_what_its_token_may_see(pool):
    server = pool.server()
    plain = pool.add("a1", PLAIN)
    admin = bootstrap(server)
    until(LONG, lambda: plain.ask("GET", "/v1/acl/token/self", token=admin)[0] == 200, plain.said)
    for name in ("open", "secret"):
        assert server.ask("PUT", "/v1/agent/service/register", json.dumps({"Name": name}), admin)[0] == 200
    for agent in (server, plain):
        assert answer_of(agent, "open.service.consul") == [] and answer_of(agent, "s1.node.consul") == []
    rules = 'service "open" { policy = "read" } node_prefix "" { policy = "read" }'
    assert server.ask("PUT", "/v1/acl/policy", json.dumps({"Name": "dns", "Rules": rules}), admin)[0] == 200
    server.run("acl", "token", "update", "-id", ANONYMOUS, "-policy-name", "dns", token=admin)
    for agent in (server, plain):
        until(FRESH_S + LONG, lambda a=agent: answer_of(a, "open.service.consul") == [SERVER], "shown")
        assert answer_of(agent, "secret.service.consul") == []
        assert answer_of(agent, "SECRET.service.consul") == []


def test_dns_may_have_a_token_of_its_own(pool):
    server = pool.server(acl={"tokens": {"dns": CANARY}})
    plain = pool.add("a1", PLAIN, acl={"tokens": {"dns": CANARY}})
    admin = bootstrap(server)
    make(server, admin, 'service "open" { policy = "read" } node_prefix "" { policy = "read" }', SecretID=CANARY)
    for name in ("open", "secret"):
        assert server.ask("PUT", "/v1/agent/service/register", json.dumps({"Name": name}), admin)[0] == 200
    for agent in (server, plain):
        until(FRESH_S + LONG, lambda a=agent: answer_of(a, "open.service.consul") == [SERVER], "shown")
        assert answer_of(agent, "secret.service.consul") == []
        # Whoever comes to the API has none.
        assert json.loads(agent.ask("GET", "/v1/catalog/services")[2]) == {}


def test_secrets_are_nowhere(pool, tmp_path):
    server = pool.server(acl={"tokens": {"default": CANARY}, "audit_file": str(tmp_path / "audit.s1")})
    plain = pool.add("a1", PLAIN, acl={"tokens": {"default": CANARY}})
    admin = bootstrap(server)
    until(LONG, lambda: plain.ask("GET", "/v1/acl/token/self", token=admin)[0] == 200, plain.said)
    make(server, admin, SecretID=CANARY, Roles=[{"Name": "admin"}])
    answers = []
    for agent in (server, plain):
        assert agent.ask("PUT", "/v1/kv/x", b"1", token=CANARY)[0] == 200
        # DNS asked about its token before there was one, and what it was told counts for a while.
        until(FRESH_S + LONG, lambda a=agent: a.ask("GET", "/v1/agent/self", token=CANARY)[0] == 200, agent.said)
        for path in ("/v1/agent/self", "/v1/agent/metrics", "/v1/agent/debug/gossip", "/v1/acl/tokens"):
            status, _, text = agent.ask("GET", path, token=CANARY)
            assert status == 200
            answers.append(text)
        until(LONG, lambda a=agent: a.ask("GET", "/v1/agent/self")[0] == 200, agent.said)  # by the default token
    assert server.run("snapshot", "save", str(tmp_path / "snapshot"), token=admin, check=False) is not None
    assert server.ask("GET", "/v1/kv/x", token=UNKNOWN)[0] == plain.ask("GET", "/v1/kv/y", token=UNKNOWN)[0] == 403
    lines = [json.loads(line) for line in (tmp_path / "audit.s1").read_text().splitlines()]
    assert [line["Path"] for line in lines if line["Event"] == "changed"] == ["/v1/acl/bootstrap", "/v1/acl/token"]
    refused = [(x["Path"], x["Node"], x["Client"].split(":")[0]) for x in lines if x["Event"] == "refused"]
    assert ("/v1/kv/x", "s1", SERVER) in refused and ("/v1/kv/y", "a1", "") in refused, refused
    assert (tmp_path / "audit.s1").stat().st_mode & 0o777 == 0o600
    assert not [text for text in answers if CANARY in text or admin in text]
    secrets = [CANARY.encode(), admin.encode()]
    for agent in (server, plain):
        command = Path("/proc/%d/cmdline" % agent.process.pid).read_bytes()
        assert not [s for s in secrets if s in command]
        agent.process.terminate()
        agent.process.wait(LONG)
    looked = 0
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix != ".json":  # the configuration has the default token
            looked += 1
            assert not [s for s in secrets if s in path.read_bytes()], path
    assert looked > 5


def test_tokens_travel_with_a_snapshot(pool, tmp_path):
    server = pool.server()
    admin = bootstrap(server)
    token = make(server, admin, 'key_prefix "app/" { policy = "write" }')["SecretID"]
    assert server.ask("PUT", "/v1/kv/app/x", b"1", token)[0] == 200
    saved = str(tmp_path / "saved")
    assert server.run("snapshot", "save", saved, token=token, check=False).returncode == 1
    server.run("snapshot", "save", saved, token=admin)
    server.kill()
    other = pool.add("s2", SERVER, "-server")
    other.run("snapshot", "restore", saved)  # before it has tokens of its own: from its own machine
    until(LONG, lambda: other.ask("GET", "/v1/kv/app/x", token=token)[0] == 200, other.said)
    assert other.ask("GET", "/v1/kv/b", token=token)[0] == 403
    assert other.ask("PUT", "/v1/acl/bootstrap")[0] == 403
    assert other.ask("GET", "/v1/acl/tokens", token=admin)[0] == 200


def test_warn_tells_what_enforce_would_refuse(pool):
    server = pool.server(acl={"mode": "warn"})
    admin = bootstrap(server)
    assert server.ask("PUT", "/v1/kv/x", b"1")[0] == 200
    assert "would refuse PUT /v1/kv/x: token with AccessorID '%s' lacks permission 'key:write'" % ANONYMOUS \
        in server.said()
    metrics = server.ask("GET", "/v1/agent/metrics?format=prometheus", token=admin)[2]
    assert re.search(r"^rollcall_acl_would_refuse_total [1-9]", metrics, re.M)


def test_explain_tells_which_rule(pool):
    server = pool.server()
    admin = bootstrap(server)
    secret = make(server, admin, 'key_prefix "app/" { policy = "write" }\nkey "app/x" { policy = "deny" }')["SecretID"]
    said = server.run("acl", "explain", "PUT", "/v1/kv/app/x", token=secret, check=False)
    assert said.returncode == 1
    assert said.stdout.endswith('key:write on "app/x": rule key "app/x" = deny in line 2 of policy p\n')
    assert server.run("acl", "explain", "PUT", "/v1/kv/app/y", token=secret).stdout.startswith("allowed: token ")
    said = server.run("acl", "explain", "-recurse", "key", "app/", "write", token=secret, check=False)
    assert said.returncode == 1 and 'rule key "app/x" = deny' in said.stdout
