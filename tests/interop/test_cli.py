#!/usr/bin/python3
"""The command line against a real agent, against agents that misbehave, and without one.

What is expected of outputs and exit codes is what Consul 1.10 printed for the same commands, where it
has them. Everything runs in a network namespace of its own (needs root): ports are the usual ones.
"""
import base64
import contextlib
import json
import socket
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from patience import patient

ROOT = Path(__file__).resolve().parents[2]
ROLLCALL = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
NODE_ID = "11111111-1111-1111-1111-111111111111"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class Place:
    """A network namespace with a loopback, kept alive by a sleeping process."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 3600"],
                                       stdout=subprocess.PIPE, text=True)
        assert self.keeper.stdout.readline() == "up\n"
        self.enter = ["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net"]

    def close(self):
        self.keeper.kill()
        self.keeper.wait()

    def popen(self, *words, **options):
        return subprocess.Popen([*self.enter, *map(str, words)], **options)

    def run(self, *words, env=None, cwd=None, timeout=60):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
        return subprocess.run([*self.enter, str(ROLLCALL), *map(str, words)], capture_output=True, text=True, cwd=cwd,
                              env={**environment, **(env or {})}, timeout=timeout, check=False)

    @contextlib.contextmanager
    def agent(self, *flags):
        process = self.popen(ROLLCALL, "agent", *flags, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        told = []
        reader = threading.Thread(target=lambda: told.extend(process.stderr), daemon=True)
        reader.start()
        try:
            self.wait_for(lambda: self.run("info").returncode == 0, told)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(patient(60))
            reader.join(5)

    @staticmethod
    def wait_for(claim, told=()):
        end = time.monotonic() + 60
        while not claim():
            assert time.monotonic() < end, "".join(told)
            time.sleep(0.05)

    @contextlib.contextmanager
    def impostor(self, answer):
        """Something on port 8500 that reads a request and says `answer` (bytes), then hangs up."""
        code = ("import socket,sys\n"
                "s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                "s.bind(('127.0.0.1',8500)); s.listen(); print('up', flush=True)\n"
                "answer=sys.stdin.buffer.read()\n"
                "c,_=s.accept(); data=b''\n"
                "while b'\\r\\n\\r\\n' not in data: data+=c.recv(65536)\n"
                "c.sendall(answer)\n")
        process = self.popen(sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdout.readline() == b"up\n"
            process.stdin.write(answer)
            process.stdin.close()
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def place():
    made = Place()
    yield made
    made.close()


@pytest.fixture(scope="class")
def cli(place):
    """Commands to a lone agent called node1."""
    with place.agent("-dev", "-node", "node1", "-node-id", NODE_ID, "-node-meta", "rack:r1"):
        yield lambda *words, **options: place.run(*words, **options)


def done(result, text, status=0):
    assert (result.stdout, result.stderr, result.returncode) == (text, "", status)


def failed(result, text, status=1):
    assert (result.stdout, result.stderr, result.returncode) == ("", text, status)


def http(status, body, more=""):
    body = body if isinstance(body, bytes) else body.encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class TestWithAnAgent:
    def test_members(self, cli):
        result = cli("members")
        build = re.search(r"server  (\S+)", result.stdout).group(1)
        pad = " " * max(0, len(build) - 5)
        done(result, f"Node   Address         Status  Type    Build{pad}  Protocol  DC   Segment\n"
                     f"node1  127.0.0.1:8301  alive   server  {build}  2         dc1  <all>\n")

    def test_members_detailed(self, cli):
        lines = cli("members", "-detailed").stdout.splitlines()
        assert re.fullmatch(r"Node   Address         Status  Tags +Protocol  Incarnation  Since +RTT +Notes", lines[0])
        cells = re.split(r" {2,}", lines[1])
        tags = cells[3].split(",")
        assert cells[:3] == ["node1", "127.0.0.1:8301", "alive"] and cells[4] == "5 [2, 5]" and cells[7] == "0.000 ms"
        assert tags == sorted(tags) and f"id={NODE_ID}" in tags and "dc=dc1" in tags

    def test_members_by_status(self, cli):
        done(cli("members", "-status=leaving"), "", 2)
        assert cli("members", "-status", "^al").returncode == 0
        failed(cli("members", "-status", "("),
               "rollcall members: -status is not a regular expression\nSee: rollcall members -help\n", 2)

    def test_catalog_nodes(self, cli):
        done(cli("catalog", "nodes"), "Node   ID        Address    DC\nnode1  11111111  127.0.0.1  dc1\n")
        done(cli("catalog", "nodes", "-detailed"),
             "Node   ID                                    Address    DC   "
             "TaggedAddresses                                                       Meta\n"
             f"node1  {NODE_ID}  127.0.0.1  dc1  "
             "lan=127.0.0.1, lan_ipv4=127.0.0.1, wan=127.0.0.1, wan_ipv4=127.0.0.1  rack=r1\n")
        assert cli("catalog", "nodes", "-node-meta", "rack=r1").stdout.endswith("dc1\n")
        assert cli("catalog", "nodes", "-near", "node1", "-filter", "Meta.rack == r1").stdout.endswith("dc1\n")

    def test_nothing_found(self, cli):
        no_nodes = "No nodes match the given query - try expanding your search.\n"
        failed(cli("catalog", "nodes", "-service=nope"), no_nodes, 0)
        failed(cli("catalog", "nodes", "-node-meta", "rack=r9"), no_nodes, 0)
        failed(cli("catalog", "services", "-node", "nope"),
               "No services match the given query - try expanding your search.\n", 0)

    def test_services_come_and_go(self, cli, tmp_path):
        done(cli("services", "register", "-name=web", "-id=web1", "-port=80", "-tag=v2", "-tag=primary"),
             "Registered service: web\n")
        done(cli("services", "register", "--name", "web", "--id", "web2", "--tag", "v1"), "Registered service: web\n")
        done(cli("services", "register", "-name=noport", "-meta", "a=b=c", "-tagged-address", "lan=10.9.8.7:65",
                 "-tagged-address=v6=2001:db8::1"), "Registered service: noport\n")
        done(cli("catalog", "services"), "noport\nweb\n")
        done(cli("catalog", "services", "-tags"), "noport  \nweb     primary,v1,v2\n")
        done(cli("catalog", "services", "-tags", "-node", "node1"), "noport  \nweb     primary,v1,v2\n")
        done(cli("catalog", "nodes", "-service=web"), "Node   ID        Address    DC\n" +
             "node1  11111111  127.0.0.1  dc1\n" * 2)
        done(cli("services", "deregister", "-id=web1"), "Deregistered service: web1\n")

        (tmp_path / "one.json").write_text('{"services": [{"name": "web", "id": "web2"}, {"Name": "noport"}]}')
        (tmp_path / "two.hcl").write_text('service { name = "a" port = 1 }\nservice { name = "b" }\n')
        done(cli("services", "register", tmp_path / "two.hcl"), "Registered service: a\nRegistered service: b\n")
        done(cli("services", "deregister", tmp_path / "one.json", tmp_path / "two.hcl"),
             "".join(f"Deregistered service: {name}\n" for name in ("web2", "noport", "a", "b")))

    def test_services_that_cannot_be(self, cli, tmp_path):
        usage = "\nSee: rollcall services -help\n"
        empty = tmp_path / "empty.json"
        empty.write_text("{}")
        failed(cli("services", "register", empty), f"{empty}: no service in it\n")
        failed(cli("services", "register", tmp_path / "no"), f"{tmp_path}/no: cannot be read: No such file or directory\n")
        failed(cli("services", "register", "-name", ""),
               "Error registering service: Unexpected response code: 400 (Missing service name)\n")
        for words, told in (
                (["register"], "wants -name NAME, or files"), (["deregister"], "wants -id ID, or files"),
                (["register", "-name=x", "-port=99999"], "-port is a number from 0 to 65535"),
                (["register", "-name=x", "-meta=y"], "-meta is KEY=VALUE"),
                (["register", "-name=x", "-tagged-address=lan"], "-tagged-address is NAME=IP or NAME=IP:PORT"),
                (["register", "-name=x", "-tagged-address=lan=y"], "-tagged-address is NAME=IP or NAME=IP:PORT"),
                (["register", "-name=x", str(empty)], "either files, or -name and -id"),
                (["list"], "wants register or deregister"), ([], "wants register or deregister")):
            failed(cli("services", *words), f"rollcall services: {told}{usage}", 2)

    def test_maintenance(self, cli):
        cli("services", "register", "-name=six", "-id=six1", "-port=6")
        done(cli("maint"), "")
        refused = cli("maint", "-enable", "-service=six1")
        assert refused.returncode == 1 and 'Without it 0 healthy of service "six" would be left' in refused.stderr
        done(cli("maint", "-enable", "-service=six1", "-reason=upgrade", "-force"),
             'Service maintenance is now enabled for "six1"\n')
        done(cli("maint"), "Service:\n  ID:     six1\n  Reason: upgrade\n\n")
        done(cli("maint", "-enable", "-reason", "kernel\n\x1b[31mNode:"), "Node maintenance is now enabled\n")
        assert cli("maint").stdout.startswith("Node:\n  Name:   node1\n  Reason: kernel??[31mNode:\n\nService:\n")
        assert json.loads(cli("maint", "-format=json").stdout)["Services"] == [{"ID": "six1", "Reason": "upgrade"}]
        done(cli("maint", "-disable"), "Node maintenance is now disabled\n")
        done(cli("maint", "-disable", "-service=six1"), 'Service maintenance is now disabled for "six1"\n')
        failed(cli("maint", "-enable", "-service=nope"),
               'Error enabling maintenance: Unexpected response code: 404 (No service registered with ID "nope")\n')
        cli("services", "deregister", "-id=six1")

    def test_hostile_names_do_not_reach_the_terminal(self, cli, place):
        body = json.dumps({"Name": "a\x1b]0;x\x07\u009bb\n\x7f", "ID": "h", "Tags": ["t\r\x1b"]})
        assert place.popen("curl", "-fsS", "-X", "PUT", "-d", body,
                           "http://127.0.0.1:8500/v1/agent/service/register").wait() == 0
        result = cli("catalog", "services", "-tags")
        assert result.stdout == "a?]0;x??b??  t??\n"
        cli("services", "deregister", "-id", "h")

    def test_join_and_force_leave(self, cli):
        failed(cli("force-leave", "nope"),
               "Error force leaving: Unexpected response code: 500 (agent: No node found with name 'nope')\n")
        result = cli("join", "127.0.0.99")
        assert result.returncode == 1 and result.stdout == ""
        assert re.fullmatch(r"Error joining address '127\.0\.0\.99': Unexpected response code: 500 \(1 error occurred:\n"
                            r"\t\* Failed to join 127\.0\.0\.99: .*refused.*\n\n\)\nFailed to join any nodes\.\n",
                            result.stderr)

    def test_debug_gossip_tells_how_members_came(self, cli):
        table = cli("debug", "gossip").stdout
        assert re.search(r"^health score: \d+ of at most \d+", table, re.M)
        assert re.search(r"^membership +\d+ +4096 +0 +0$", table, re.M)
        assert "heard of it for the first time" in table
        facts = json.loads(cli("debug", "gossip", "-format=json").stdout)
        assert facts["Health"]["Score"] <= facts["Health"]["Max"]
        assert [queue["Name"] for queue in facts["Queues"]] == ["membership", "intents", "queries", "events"]
        assert facts["Transitions"][-1]["To"] == "alive" and facts["Refusals"] == []
        assert cli("debug").returncode == 2

    def test_reload_info_version_and_keygen(self, cli):
        done(cli("reload"), "Configuration reload triggered\n")
        assert re.search(r"^agent:\n\t\w+ = ", cli("info").stdout, re.M)
        assert re.match(r"rollcall v\d", cli("version").stdout)
        keys = [base64.b64decode(cli("keygen").stdout) for _ in range(2)]
        assert len(keys[0]) == 32 and keys[0] != keys[1]

    def test_whatever_prints_a_table_prints_json_too(self, cli):
        for words in (["members"], ["catalog", "nodes"], ["catalog", "services"], ["catalog", "datacenters"], ["info"],
                      ["maint"], ["version"]):
            json.loads(cli(*words, "-format=json").stdout)
            assert cli(*words, "-format=yaml").returncode == 2

    def test_monitor_follows_until_the_agent_goes(self, cli, place):
        process = place.popen(ROLLCALL, "monitor", "-log-level=debug", stdout=subprocess.PIPE, text=True)
        for _ in range(60):  # until it listens
            cli("reload")
            if select.select([process.stdout], [], [], 0.5)[0]:
                break
        cli("reload")
        assert any("reload" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        process.wait(patient(60))
        failed(cli("monitor", "-log-level=foo"),
               "Error following the log: Unexpected response code: 400 (Bad request: Unknown log level: foo)\n")

    def test_a_filter_that_makes_no_sense(self, cli):
        result = cli("catalog", "nodes", "-filter", "bad ==")
        assert result.stderr.startswith("Error listing nodes: Unexpected response code: 500 "
                                        "(Failed to create boolean expression evaluator: ")
        long = cli("catalog", "nodes", "-filter", "Node == " + "x" * 20000)
        assert long.returncode == 1 and long.stderr.count("Error listing nodes") == 1

    def test_the_environment_says_where_the_agent_is(self, cli):
        assert cli("members", env={"CONSUL_HTTP_ADDR": "http://127.0.0.1:8500"}).returncode == 0
        assert cli("members", env={"CONSUL_HTTP_ADDR": "127.0.0.98:1"}).returncode == 1
        assert cli("members", "-http-addr=127.0.0.1:8500", env={"CONSUL_HTTP_ADDR": "127.0.0.98:1"}).returncode == 0
        assert "CONSUL_HTTP_SSL " in cli("members", env={"CONSUL_HTTP_SSL": "maybe"}).stderr
        assert cli("members", env={"CONSUL_HTTP_SSL": "true"}).returncode == 1  # the agent speaks no TLS

    def test_output_that_goes_nowhere_is_an_error(self, cli, place):
        script = f'exec "{ROLLCALL}" members >/dev/full'
        result = subprocess.run([*place.enter, "sh", "-c", script], capture_output=True, text=True, check=False)
        failed(result, "rollcall: standard output: No space left on device\n")


class TestWithoutAnAgent:
    @pytest.mark.parametrize("words, told", [
        (["members"], "Error retrieving members: Get"), (["catalog", "nodes"], "Error listing nodes: Get"),
        (["leave"], "Error: leave: Put"), (["maint"], "Error getting checks: Get"),
        (["monitor"], "Error following the log: Get"), (["info"], "Error querying agent: Get"),
        (["debug", "gossip"], "Error asking the agent: Get"),
        (["services", "register", "-name=x"], "Error registering service: Put")], ids=lambda value: str(value[0]))
    def test_nobody_is_there(self, place, words, told):
        result = place.run(*words, "-http-addr=127.0.0.98:8500")
        assert result.returncode == 1 and result.stdout == ""
        assert result.stderr.startswith(told + ' "http://127.0.0.98:8500/v1/')
        assert result.stderr.endswith(": Connection refused; is an agent running there? "
                                      "(-http-addr, CONSUL_HTTP_ADDR)\n")

    def test_addresses_that_are_none(self, place, tmp_path):
        for address in ("nowhere.invalid:8500", "http://", "ftp://127.0.0.1", "127.0.0.1:99999", "unix:///nope", ""):
            result = place.run("members", f"-http-addr={address}")
            assert result.returncode == 1 and result.stderr.startswith("Error retrieving members: "), address
        result = place.run("members", "-token-file", tmp_path / "none")
        failed(result, f"Error retrieving members: the token file {tmp_path}/none cannot be read\n")

    @pytest.mark.parametrize("answer, told", [
        (b"", "Empty reply from server|Server returned nothing"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{", "Transferred a partial file"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[", "partial file|Failure when receiving"),
        (b"SSH-2.0-OpenSSH\r\n", "HTTP/0.9|Unsupported protocol|Weird server reply"),
        (http(200, "<html>"), "the answer is not JSON: "),
        (http(200, ""), "the answer is not JSON: "),
        (http(500, "bad \x1b[2Jnews\n"), r"Unexpected response code: 500 \(bad \?\[2Jnews\n\)"),
        (http(403, "x" * 100000), r"Unexpected response code: 403 \(x{400}\)"),
        (http(301, "", "Location: http://127.0.0.98/\r\n"), r"Unexpected response code: 301 \(\)"),
        (http(200, b"[" * 100000), "the answer is not JSON: "),
    ], ids=["nothing", "cut body", "cut chunk", "no HTTP", "HTML", "empty", "control characters", "long", "redirect",
            "deep"])
    def test_answers_that_are_none(self, place, answer, told):
        with place.impostor(answer):
            result = place.run("members")
        assert result.returncode == 1 and result.stdout == ""
        assert re.match(f"Error retrieving members: .*(?:{told})", result.stderr), result.stderr
        assert "\x1b" not in result.stderr

    @pytest.mark.parametrize("body", ["null", "7", "[7, {}]", '[{"Name": 5, "Tags": {"a": 1}, "Status": 99}]', "[[]]"])
    def test_json_of_another_shape_is_survived(self, place, body):
        for words in (["members"], ["members", "-detailed"], ["catalog", "nodes", "-detailed"], ["catalog", "services", "-tags"],
                      ["catalog", "services", "-node=x"], ["catalog", "datacenters"], ["maint"], ["info"]):
            with place.impostor(http(200, body)):
                assert place.run(*words).returncode in (0, 1, 2), words

    def test_a_huge_table(self, place):
        nodes = [{"Node": f"n{i}", "ID": NODE_ID, "Address": "10.0.0.1", "Datacenter": "dc1"} for i in range(50000)]
        with place.impostor(http(200, json.dumps(nodes))):
            result = place.run("catalog", "nodes")
        lines = result.stdout.splitlines()
        assert result.returncode == 0 and len(lines) == 50001
        assert lines[-1] == "n49999  11111111  10.0.0.1  dc1"


class TestUsage:
    @pytest.mark.parametrize("words, told", [
        (["members", "-bogus"], "rollcall members: no such flag: -bogus\nSee: rollcall members -help\n"),
        (["members", "-http-addr"], "rollcall members: -http-addr wants a value\nSee: rollcall members -help\n"),
        (["members", "-detailed=x"], "rollcall members: -detailed: wants true or false\nSee: rollcall members -help\n"),
        (["frob"], "rollcall: no command 'frob'; see rollcall help\n"),
        (["membrs"], "rollcall: no command 'membrs', did you mean 'members'?; see rollcall help\n"),
        (["fr\x1b[2Job"], "rollcall: no command 'fr?[2Job'; see rollcall help\n"),
        (["catalog", "foo"], "rollcall catalog: wants one of: nodes, services, datacenters\nSee: rollcall catalog -help\n"),
        (["join"], "rollcall join: wants at least one address\nSee: rollcall join -help\n"),
        (["force-leave"], "rollcall force-leave: wants the name of one node\nSee: rollcall force-leave -help\n"),
        (["maint", "-enable", "-disable"], "rollcall maint: either -enable or -disable\nSee: rollcall maint -help\n"),
        (["maint", "-disable", "-force"], "rollcall maint: -force goes with -enable\nSee: rollcall maint -help\n"),
        (["maint", "-service=x"],
         "rollcall maint: -service and -reason go with -enable or -disable\nSee: rollcall maint -help\n"),
        (["validate"], "rollcall validate: wants at least one file or folder\n"),
        (["validate", "-bogus", "x"], "rollcall validate: no such flag: -bogus\n"),
        *((([name, "word"]), f"rollcall {name}: takes no words\nSee: rollcall {name} -help\n")
          for name in ("members", "leave", "reload", "info", "maint", "monitor", "keygen", "version")),
    ], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
    def test_what_makes_no_sense_ends_with_2(self, place, words, told):
        failed(place.run(*words), told, 2)

    def test_help(self, place):
        listed = place.run("help")
        assert listed.returncode == 0 and listed.stderr == ""
        nothing = place.run()
        assert (nothing.stdout, nothing.stderr, nothing.returncode) == ("", listed.stdout, 2)
        for name in re.findall(r"^  ([a-z-]+) ", listed.stdout, re.M):
            for flag in ("-h", "-help", "--help"):
                result = place.run(name, flag)
                assert result.returncode == 0 and result.stdout.startswith(f"usage: rollcall {name}"), name


class TestValidate:
    @pytest.mark.parametrize("text, told", [
        ('servize { name = "x" }', "FILE:1:1: invalid config key servize; did you mean service?"),
        ('node_name = "x"', "data_dir cannot be empty"),
        ('data_dir = "/x', "FILE:1:12: this string is not closed on its line"),
        ('data_dir = "/x"\nencrypt = "abc"',
         "FILE:2:1: encrypt must be 16, 24 or 32 bytes in base64, as `rollcall keygen` prints"),
    ])
    def test_what_is_wrong_is_told_with_its_place(self, place, tmp_path, text, told):
        file = tmp_path / "bad.hcl"
        file.write_text(text)
        failed(place.run("validate", file), f"Config validation failed: {told}\n".replace("FILE", str(file)))

    def test_what_is_right(self, place, tmp_path):
        file = tmp_path / "good.hcl"
        file.write_text('data_dir = "/x"\nservice { name = "a" }\nservice { name = "b" }\nenable_syslog = true\n')
        result = place.run("validate", file)
        assert (result.stdout, result.returncode) == ("Configuration is valid!\n", 0)
        assert result.stderr == f"{file}:4:1: enable_syslog has no effect in rollcall\n"
        assert place.run("validate", "-quiet", tmp_path).stdout == ""


class TestAgentThatCannotStart:
    """One line says why, and the exit status is 1."""

    def refused(self, place, told, *flags, cwd=None):
        result = place.run("agent", *flags, cwd=cwd)
        lines = [line for line in result.stderr.splitlines() if not re.match(r"\d{4}-\S+ \[INFO\]", line)]
        assert (result.stdout, result.returncode) == ("", 1)
        assert len(lines) == 1, result.stderr
        assert re.fullmatch("rollcall agent: " + told, lines[0]), lines[0]

    def test_without_a_data_folder(self, place, tmp_path):
        self.refused(place, "data_dir cannot be empty")
        (tmp_path / "file").write_text("")
        self.refused(place, r"data_dir \S+/file cannot be written: .*", "-data-dir", tmp_path / "file")

    def test_with_words_it_does_not_know(self, place):
        self.refused(place, "unknown flag -bogus", "-dev", "-bogus")
        self.refused(place, "unknown flag -nodde; did you mean -node\\?", "-dev", "-nodde", "x")
        self.refused(place, "-node: needs a value", "-dev", "-node")
        self.refused(place, 'unexpected argument "word"; settings are flags, such as -node', "-dev", "word")
        self.refused(place, '-http-port: must be a whole number, not "x"', "-dev", "-http-port", "x")

    def test_with_a_file_it_cannot_read(self, place, tmp_path):
        self.refused(place, r"\S+/none.hcl: cannot be read: No such file or directory", "-config-file",
                     tmp_path / "none.hcl")
        (tmp_path / "bad.hcl").write_text('data_dir = "/x"\n\n  encrypt = "abc"\n')
        self.refused(place, r"\S+/bad.hcl:3:3: encrypt must be 16, 24 or 32 bytes in base64, as `rollcall keygen` prints",
                     "-config-file", tmp_path / "bad.hcl")

    def test_with_a_key_that_is_none(self, place):
        self.refused(place, "-encrypt must be 16, 24 or 32 bytes in base64, as `rollcall keygen` prints", "-dev",
                     "-encrypt", "abc")

    def test_in_a_folder_that_is_in_use(self, place, tmp_path):
        with place.agent("-data-dir", tmp_path, "-bind", "127.0.0.1"):
            self.refused(place, f"data_dir {tmp_path} is in use by another agent", "-data-dir", tmp_path, "-bind",
                         "127.0.0.2", "-client", "127.0.0.2")

    def test_with_a_damaged_memory(self, place, tmp_path):
        (tmp_path / "node.json").write_text('{"node_id')
        flags = ("-data-dir", tmp_path, "-bind", "127.0.0.1")
        self.refused(place, f"{tmp_path}/node.json was damaged and is now node.json.broken; .*", *flags)
        with place.agent(*flags):
            pass

    def test_on_ports_that_are_taken(self, place):
        with place.agent("-dev"):
            self.refused(place, "gossip: .*127.0.0.1:8301.*", "-dev")
            self.refused(place, "http: .*127.0.0.1:8500.*[Aa]ddress already in use", "-dev", "-serf-lan-port", "20301",
                         "-dns-port", "20600")
            self.refused(place, "link: cannot listen on 127.0.0.1:8300: address already in use", "-dev", "-serf-lan-port",
                         "20301", "-http-port", "20500")
            self.refused(place, "dns: .*127.0.0.1:8600.*", "-dev", "-serf-lan-port", "20301", "-http-port", "20500",
                         "-server-port", "20300")

    def test_on_addresses_that_are_not_ours(self, place, tmp_path):
        self.refused(place, "gossip: 203.0.113.1:8301 is not an address of this machine; see -bind", "-dev", "-bind",
                     "203.0.113.1")
        self.refused(place, "(http|dns): .*203.0.113.1:.*", "-dev", "-client", "203.0.113.1")
        self.refused(place, "pid_file /nonexistent/pid cannot be written", "-dev", "-pid-file", "/nonexistent/pid")


class TestLeaving:
    def test_leave_ends_the_agent_in_good_order(self, place):
        with place.agent("-dev") as process:
            done(place.run("leave"), "Graceful leave complete\n")
            assert process.wait(patient(60)) == 0


class TestWhatItWasTold:
    def test_retry_max_ends_an_agent_that_finds_nobody(self, place):
        result = place.run("agent", "-dev", "-node=alone", "-retry-join=127.0.0.9", "-retry-interval=50ms", "-retry-max=3")
        assert result.returncode == 1
        assert "nobody to join after 3 attempts (retry_max)" in result.stderr

    def test_without_the_page_there_is_none(self, place):
        def status(path):
            return subprocess.run([*place.enter, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                   f"http://127.0.0.1:8500{path}"], capture_output=True, text=True, check=False).stdout
        with place.agent("-dev", "-node=plain", "-ui=false"):
            assert (status("/ui/"), status("/v1/catalog/nodes")) == ("404", "200")
        with place.agent("-dev", "-node=plain"):
            assert status("/ui/") == "200"

    @pytest.mark.parametrize("flags, met", [((), False), (("-rejoin",), True)])
    def test_members_are_remembered_after_leaving_only_if_asked(self, place, tmp_path, flags, met):
        flags = ("-node=one", "-bind=127.0.0.1", f"-data-dir={tmp_path}", *flags)
        other = ("agent", "-dev", "-node=other", "-bind=127.0.0.2", "-client=127.0.0.2")
        process = place.popen(ROLLCALL, *other, "-join=127.0.0.1", "-retry-interval=200ms", stderr=subprocess.DEVNULL)

        def others():
            return "other" in place.run("members", "-status=alive").stdout

        try:
            with place.agent(*flags):
                place.wait_for(others)
                assert place.run("leave").returncode == 0
            assert "leave" in (tmp_path / "gossip.snapshot").read_text().splitlines()
            with place.agent(*flags):
                if met:
                    place.wait_for(others)
                else:
                    assert not others()
        finally:
            process.kill()
            process.wait()

    def test_systemd_is_told_when_it_is_ready_and_when_it_stops(self, place, tmp_path):
        path = tmp_path / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))
            listener.settimeout(60)
            process = place.popen("env", f"NOTIFY_SOCKET={path}", ROLLCALL, "agent", "-dev", "-node=unit",
                                  stderr=subprocess.DEVNULL)
            assert listener.recv(100) == b"READY=1"
            process.send_signal(signal.SIGHUP)
            assert [listener.recv(100) for _ in range(2)] == [b"RELOADING=1", b"READY=1"]
            process.terminate()
            assert listener.recv(100) == b"STOPPING=1"
            assert process.wait(patient(60)) == 0
