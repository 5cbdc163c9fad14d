"""`rollcall dns`: what a real agent says about its own answers, and that these are what it answers."""
import json
import os
import shutil
import subprocess

import pytest

from patience import patient
from store_agents import BINARY, Agents, until

pytestmark = pytest.mark.skipif(shutil.which("dig") is None, reason="dig is missing (Debian: bind9-dnsutils)")

SETTINGS = {"ports": {"dns": 8600}, "dns_config": {"service_ttl": {"web": "5s"}, "soa": {"min_ttl": "2s"}}}
SERVICES = [
    {"ID": "web-1", "Name": "web", "Port": 81, "Address": "10.0.0.1", "Tags": ["v1"], "Check": {"CheckID": "c1", "TTL": "1h", "Status": "passing"}},
    {"ID": "web-2", "Name": "web", "Port": 82, "Address": "10.0.0.2", "Tags": ["v2"], "Check": {"CheckID": "c2", "TTL": "1h", "Status": "passing"}},
    {"ID": "web-3", "Name": "web", "Port": 83, "Address": "2001:db8::3", "Tags": ["v1"]},
    {"ID": "pg-1", "Name": "postgres", "Port": 5432, "Tags": ["primary"], "Meta": {"pg_cluster": "m", "pg_term": "7"}},
    {"ID": "pg-2", "Name": "postgres", "Port": 5433, "Tags": ["primary"], "Meta": {"pg_cluster": "m", "pg_term": "5"}},
]


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    agents = Agents(tmp_path_factory.mktemp("explain"))
    made = agents.server("s1", **SETTINGS).start().ready()
    for service in SERVICES:
        assert made.call("PUT", "/v1/agent/service/register", service).status == 200
    until(lambda: len(made.call("GET", "/v1/health/service/web").json) == 3)
    yield made
    agents.end()


def run(agent, *words, token=None):
    """Exit status, what it said, and what it complained of."""
    environment = {k: v for k, v in os.environ.items() if "HTTP" not in k}
    done = subprocess.run([str(BINARY), "dns", f"-http-addr={agent.address}:8500", *([f"-token={token}"] if token else []), *words],
                          env=environment, capture_output=True, text=True, timeout=patient(30))
    return done.returncode, done.stdout, done.stderr


def explained(agent, *words, token=None):
    status, out, complaint = run(agent, *words, "-format=json", token=token)
    assert status in (0, 1) and out, complaint
    return json.loads(out)


def reasons(told):
    return {row["ID"]: [reason["Text"] for reason in row["Reasons"]] for row in told["Instances"]}


def dig(agent, name, kind, *words):
    done = subprocess.run(["dig", "+noall", "+answer", "+norecurse", "+nottlunits", *words, f"@{agent.address}", "-p", "8600", name, kind],
                          capture_output=True, text=True, timeout=patient(30), check=True)
    return sorted(" ".join(line.split()) for line in done.stdout.splitlines() if not line.startswith(";"))


def restore(agent):
    for check in ("c1", "c2"):
        assert agent.call("PUT", f"/v1/agent/check/pass/{check}").status == 200


@pytest.mark.parametrize(("name", "kind"), [("web", "A"), ("web", "AAAA"), ("web", "SRV"), ("v1.web", "SRV"), ("s1", "A"), ("rollcall", "SOA"),
                                            ("rollcall", "NS"), ("primary.postgres", "SRV"), ("nosuch", "A"), ("_web._v2", "SRV"), ("web", "TXT")])
def test_records_are_those_that_dig_gets(agent, name, kind):
    told = explained(agent, name, kind)
    assert sorted(told["Answers"][0]["Answer"]) == dig(agent, told["Name"], kind)
    assert sorted(explained(agent, name, kind, "-tcp")["Answers"][0]["Answer"]) == dig(agent, told["Name"], kind, "+tcp")


def test_a_failed_check_is_named_with_what_it_said(agent):
    assert agent.call("PUT", "/v1/agent/check/fail/c2?note=no%20room%20on%20disk%0Asecond%20line").status == 200
    try:
        told = until(lambda: (found := explained(agent, "web")) and reasons(found)["web-2"] and found)
        assert reasons(told)["web-2"] == ['check "c2" is critical: no room on disk']
        assert reasons(told)["web-1"] == reasons(told)["web-3"] == []
        status, out, _ = run(agent, "web")
        assert status == 0
        assert 'out: check "c2" is critical: no room on disk' in out
        assert "web is short for web.service.rollcall (there is a service of that name)" in out
        assert 'TTL:    5 s (dns_config.service_ttl "web")' in out
        assert "web.service.rollcall. 5 IN A 10.0.0.1\n" in out
        assert "10.0.0.2" not in out.split(";; A:", 1)[1]
    finally:
        restore(agent)
    until(lambda: reasons(explained(agent, "web"))["web-2"] == [])


def test_maintenance_is_named_with_its_reason(agent):
    assert agent.call("PUT", "/v1/agent/service/maintenance/web-1?enable=true&reason=new%20disk").status == 200
    try:
        told = until(lambda: (found := explained(agent, "web")) and reasons(found)["web-1"] and found)
        assert reasons(told)["web-1"] == ["the service is in maintenance: new disk"]
    finally:
        agent.call("PUT", "/v1/agent/service/maintenance/web-1?enable=false")
    until(lambda: reasons(explained(agent, "web"))["web-1"] == [])


def test_tags_say_who_lacks_them_and_who_holds_them(agent):
    told = explained(agent, "v2.web")
    assert reasons(told) == {"web-1": ['it has no tag "v2"'], "web-2": [], "web-3": ['it has no tag "v2"']}
    told = explained(agent, "primary.postgres", "SRV")
    assert told["TTL"]["Seconds"] == 0
    assert reasons(told) == {"pg-1": [], "pg-2": ['tag "primary" is held by "pg-1" on node "s1" with term 7; this one claims it with term 5']}
    told = explained(agent, "v3.web")
    assert told["Notes"] == ['no instance has tag "v3"; the tags of "web" are: v1, v2']
    assert "v1.web.service.rollcall." in told["Suggestions"]


def test_names_that_are_not_there_get_near_ones(agent):
    for said, meant in (("wbe", "web"), ("web.service.example", "web"), ("web.rollcall", "web"), ("web.service.dc7.rollcall", "web"), ("postgre", "postgres")):
        status, out, _ = run(agent, said, "A")
        assert status == 1, out
        assert f"Did you mean {meant}.service.rollcall.\n" in out, out


def test_names_of_others_are_refused_and_that_is_explained(agent):
    status, out, _ = run(agent, "www.example.com")
    assert status == 1
    assert "a name of another zone" in out and "there is no recursor for it" in out
    assert ";; A: REFUSED" in out and 'extended error "Not Authoritative"' in out


def test_prepared_queries_say_what_they_picked(agent):
    query = {"Name": "calm", "Service": {"Service": "web", "Tags": ["v1"], "OnlyPassing": True}, "DNS": {"TTL": "9s"}}
    reply = agent.call("POST", "/v1/query", query)
    assert reply.status == 200, reply.text
    assert agent.call("PUT", "/v1/agent/check/warn/c1?note=slow").status == 200
    try:
        told = until(lambda: (found := explained(agent, "calm")) and reasons(found).get("web-1") and found)
        assert told["Name"] == "calm.query.rollcall."
        assert told["Query"]["ID"] == reply.json["ID"]
        assert told["TTL"] == {"Seconds": 9, "From": "the query's own DNS.TTL"}
        assert reasons(told) == {"web-1": ['check "c1" is warning: slow', "the query's OnlyPassing leaves out warnings"],
                                 "web-2": ['it has no tag "v1"'], "web-3": []}
        assert told["Answers"][1]["Answer"] == ["calm.query.rollcall. 9 IN AAAA 2001:db8::3"]
    finally:
        restore(agent)
        agent.call("DELETE", "/v1/query/" + reply.json["ID"])


def test_sizes_say_what_would_be_cut(agent):
    for i in range(60):
        assert agent.call("PUT", "/v1/agent/service/register", {"ID": f"m-{i}", "Name": "many", "Port": 1, "Address": f"10.1.0.{i + 1}"}).status == 200
    told = until(lambda: (found := explained(agent, "many", "A", "-size=0")) and found["Considered"] == 60 and found)
    by = {size["By"]: size for size in told["Answers"][0]["Sizes"]}
    assert (by["tcp"]["Answers"], by["tcp"]["Truncated"], by["edns"]["Truncated"]) == (60, False, False)
    assert by["udp"]["Truncated"] and by["udp"]["Size"] <= 512
    assert len(told["Answers"][0]["Answer"]) == sum(who["In"] for who in told["Answers"][0]["Instances"]) == by["udp"]["Answers"]
    assert {who["Why"] for who in told["Answers"][0]["Instances"]} == {"", "the answer has no room for it this time: ask by TCP"}
    status, out, _ = run(agent, "many", "A", "-size", "0")
    assert status == 0 and "UDP without EDNS" in out and "records (cut)" in out


def test_misuse_is_told(agent):
    assert run(agent)[0] == 2
    assert run(agent, "web", "A", "B")[0] == 2
    assert run(agent, "web", "-format=xml")[0] == 2
    status, _, complaint = run(agent, "web", "NOPE")
    assert status == 1 and "no such type: NOPE; known are A, AAAA, SRV" in complaint
    assert "not a domain name: a..b" in run(agent, "a..b")[2]
    assert "size is a number" in run(agent, "web", "-size=x")[2]
    assert agent.call("GET", "/v1/agent/dns").status == 400


def test_names_that_are_forwarded_say_where(tmp_path):
    agents = Agents(tmp_path)
    try:
        forwards = {"service_ttl": {"*": "1s"}, "forward": {"corp.example": ["127.0.0.99:5399"]}}
        agent = agents.server("s1", ports={"dns": 8600}, dns_config=forwards, recursors=["127.0.0.98:5398", "127.0.0.97"]).start().ready()
        told = explained(agent, "www.example.com", "A")
        assert told["Notes"] == ["forwarded to 127.0.0.98:5398, 127.0.0.97:53 (recursors)"]
        assert told["Answers"][0]["Forwarded"]
        status, out, _ = run(agent, "db.corp.example")
        assert status == 0 and 'forwarded to 127.0.0.99:5399 (dns_config.forward "corp.example")' in out
        afar = {"ID": "afar", "Name": "afar", "Address": "host.corp.example", "Port": 1}
        assert agent.call("PUT", "/v1/agent/service/register", afar).status == 200
        told = until(lambda: (found := explained(agent, "afar", "A")) and found["Answers"][0]["Answer"] and found)
        assert told["Answers"][0]["Answer"] == ["afar.service.rollcall. 1 IN CNAME host.corp.example."]
        assert "its addresses are asked of 127.0.0.99:5399" in told["Notes"][0]
    finally:
        agents.end()


def test_without_dns_there_is_nothing_to_explain(tmp_path):
    agents = Agents(tmp_path)
    try:
        silent = agents.server("s1").start().ready()
        reply = silent.call("GET", "/v1/agent/dns?name=web")
        assert (reply.status, reply.text) == (501, "This agent does not answer DNS (ports.dns)")
    finally:
        agents.end()


RULES = {"dns": 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }',
         "half": 'agent_prefix "" { policy = "read" } service_prefix "" { policy = "read" }',
         "whole": 'agent_prefix "" { policy = "read" } service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'}


def test_with_tokens_each_sees_what_it_may(tmp_path):
    agents = Agents(tmp_path)
    try:
        server = agents.server("s1", ports={"dns": 8600}, acl={"enabled": True, "default_policy": "deny"}).start()
        admin = until(lambda: server.call("PUT", "/v1/acl/bootstrap").json["SecretID"])
        secret = {"X-Consul-Token": admin}
        tokens = {}
        for name, rules in RULES.items():
            assert server.call("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules}, secret).status == 200
            tokens[name] = server.call("PUT", "/v1/acl/token", {"Policies": [{"Name": name}]}, secret).json["SecretID"]
        assert server.call("PUT", "/v1/agent/service/register", SERVICES[0], secret).status == 200
        until(lambda: explained(server, "web", token=tokens["whole"])["Instances"])

        told = explained(server, "web", token=tokens["whole"])  # DNS itself asks without a token
        assert reasons(told)["web-1"] == ['the token that DNS asks with may not read service "web"',
                                          'the token that DNS asks with may not read node "s1"']
        assert told["Answers"][0]["Status"] == "NXDOMAIN"
        assert "Permission denied" in run(server, "web", token=tokens["dns"])[2]
        assert "Permission denied" in run(server, "web")[2]

        assert server.call("PUT", "/v1/acl/token/00000000-0000-0000-0000-000000000002",
                           {"Policies": [{"Name": "dns"}]}, secret).status == 200
        told = until(lambda: (found := explained(server, "web", token=tokens["whole"])) and not reasons(found)["web-1"] and found)
        assert told["Answers"][0]["Answer"] == ["web.service.rollcall. 0 IN A 10.0.0.1"]
        status, out, _ = run(server, "web", "A", token=tokens["half"])
        assert status == 1
        assert "not shown to your token" in out and "10.0.0.1" not in out and "s1" not in out
        reply = server.call("GET", "/v1/agent/dns?name=web", headers={"X-Consul-Token": tokens["half"]})
        assert reply.headers["x-consul-results-filtered-by-acls"] == "true"
    finally:
        agents.end()
