"""Events, queries and watches, as people use them: API, command line and handlers, with a real serf in the pool."""
import base64
import http.server
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from serf_pool import FAILED, LONG, ROLLCALL, Pool, until, why_not

HANDLER = """#!/bin/sh
# usage: handler OUT [SLEEP [STATUS]]: appends index and input to OUT
input=$(cat)
printf '%s %s\\n' "$CONSUL_INDEX" "$input" >>"$1"
sleep "${2:-0}"
exit "${3:-0}"
"""


class Trio:
    """r1, r2 and r3 of ours, s1 of theirs. r1 has handlers for queries, s1 too."""

    def __init__(self, folder):
        self.pool = Pool(folder)
        try:
            config = folder / "r1.hcl"
            config.write_text('enable_script_handlers = true\n'
                              'watches = [\n'
                              '  { type = "query" name = "uptime" args = ["sh", "-c", "echo $SERF_QUERY_NAME at $SERF_SELF_NAME; cat"] },\n'
                              '  { type = "query" name = "large" args = ["sh", "-c", "head -c 5000 /dev/zero | tr \\\\0 x"] },\n'
                              '  { type = "query" name = "bad" args = ["false"] },\n'
                              '  { type = "query" name = "slow" timeout = "1s" args = ["sleep", "1000"] },\n'
                              ']\n')
            self.serf = self.pool.serf("s1", tags=[("role", "db")],
                                       words=["-event-handler=query:uptime=echo serf; cat"])
            self.r1 = self.pool.agent("r1", join=self.serf.address, words=["-config-file=%s" % config])
            self.r2 = self.pool.agent("r2", join=self.r1.address)
            self.r3 = self.pool.agent("r3", join=self.r1.address)
            self.ours = [self.r1, self.r2, self.r3]
            self.pool.agree()
        except BaseException:
            self.pool.end()
            raise


@pytest.fixture(scope="module")
def trio(tmp_path_factory):
    if why_not():
        pytest.skip(why_not())
    made = Trio(tmp_path_factory.mktemp("events"))
    yield made
    made.pool.end()


def answer(agent, path, method="GET", body=None):
    """(status, index, text) whatever the status."""
    request = urllib.request.Request("http://%s%s" % (agent.http, path), body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=2 * LONG) as got:
            return got.status, got.headers.get("X-Consul-Index"), got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("X-Consul-Index"), error.read().decode()


def names(agent, name=None):
    return [event["Name"] for event in agent.api("/v1/event/list" + ("?name=" + name if name else ""))]


def has(agent, name):
    until(LONG, lambda: name in names(agent), lambda: "%s lists %s: %s" % (agent.name, name, names(agent)))


# ---- Events.

def test_an_event_is_listed_with_one_id_everywhere(trio):
    fired = trio.r1.api("/v1/event/fire/same", "PUT", b"\x00\xff payload")
    assert fired["LTime"] == 0 and base64.b64decode(fired["Payload"]) == b"\x00\xff payload"
    for agent in trio.ours:
        has(agent, "same")
        listed = agent.api("/v1/event/list?name=same")
        assert len(listed) == 1 and listed[0]["LTime"] > 0
        assert {**listed[0], "LTime": 0} == fired
    trio.serf.ask("event", "theirs", "v1")
    for agent in trio.ours:
        has(agent, "theirs")
    assert len({agent.api("/v1/event/list?name=theirs")[0]["ID"] for agent in trio.ours}) == 1


def test_filters_say_for_whom(trio):
    trio.r2.api("/v1/agent/service/register", "PUT", {"Name": "web", "Tags": ["v1", "blue"]})
    trio.r3.api("/v1/agent/service/register", "PUT", {"Name": "web", "Tags": ["v2"]})
    cases = [
        ("node=^r[12]$", "r1 r2"), ("service=web", "r2 r3"), ("service=^w.b$&tag=^v2$", "r3"),
        ("service=web&tag=blue&node=r", "r2"), ("service=none", ""), ("node=nobody", ""),
    ]
    for number, (filters, _) in enumerate(cases):
        trio.r1.api("/v1/event/fire/filtered-%d?%s" % (number, filters), "PUT", b"x")
    trio.r1.api("/v1/event/fire/filtered-end", "PUT")
    for agent in trio.ours:
        has(agent, "filtered-end")

    def heard():  # nobody promises that the last one fired comes last
        lists = {agent.name: names(agent) for agent in trio.ours}
        return [(filters, " ".join(name for name in lists if "filtered-%d" % number in lists[name]))
                for number, (filters, _) in enumerate(cases)]
    until(LONG, lambda: heard() == cases, lambda: "those and nobody else hear it: %s" % heard())
    # A real serf knows no filters: it gets the event under its name.
    trio.serf.says("user-event: filtered-5")
    listed = trio.r3.api("/v1/event/list?name=filtered-2")[0]
    assert (listed["ServiceFilter"], listed["TagFilter"], base64.b64decode(listed["Payload"])) == ("^w.b$", "^v2$", b"x")


def test_lists_wait_for_an_event_of_that_name(trio):
    trio.r1.api("/v1/event/fire/wait", "PUT", b"1")
    has(trio.r2, "wait")
    _, index, text = answer(trio.r2, "/v1/event/list?name=wait")
    assert int(index) > 1 and len(json.loads(text)) == 1
    got = []
    asker = threading.Thread(target=lambda: got.append(answer(trio.r2, "/v1/event/list?name=wait&wait=60s&index=" + index)), daemon=True)
    asker.start()
    trio.r1.api("/v1/event/fire/other", "PUT")
    has(trio.r2, "other")
    time.sleep(0.3)
    assert not got, "another event is none of its business"
    trio.r1.api("/v1/event/fire/wait", "PUT", b"2")
    asker.join(LONG)
    assert got and got[0][1] != index and len(json.loads(got[0][2])) == 2
    # Any other index answers at once; a known one when the time is up, with the same.
    assert answer(trio.r2, "/v1/event/list?name=wait&wait=60s&index=" + index)[1] == got[0][1]
    assert answer(trio.r2, "/v1/event/list?name=wait&wait=300ms&index=" + got[0][1])[1] == got[0][1]
    assert answer(trio.r2, "/v1/event/list?name=none")[1:] == ("1", "[]")


def test_bad_events_are_refused_in_consuls_words(trio):
    cases = [
        ("/v1/event/fire/", 400, "Missing name"),
        ("/v1/event/fire/x?tag=a", 500, "Cannot provide tag filter without service filter"),
        ("/v1/event/fire/x?node=(", 500, "Invalid node filter: error parsing regexp: missing closing ): `(`"),
        ("/v1/event/fire/x?dc=nowhere", 500, "No path to datacenter"),
    ]
    for path, status, text in cases:
        assert (answer(trio.r1, path, "PUT")[0], answer(trio.r1, path, "PUT")[2]) == (status, text)
    status, _, text = answer(trio.r1, "/v1/event/fire/x", "PUT", b"y" * 600)
    assert (status, text) == (500, "user event exceeds configured limit of 512 bytes before encoding")
    assert answer(trio.r1, "/v1/event/fire/x")[0] == 405


def test_the_command_fires_events(trio):
    said = trio.r1.ask("event", "-name=by-hand", "-node=r1", "a payload")
    has(trio.r1, "by-hand")
    listed = trio.r1.api("/v1/event/list?name=by-hand")[0]
    assert said == "Event ID: %s\n" % listed["ID"] and listed["NodeFilter"] == "r1"
    trio.r1.ask("event", "by-word", "x")
    has(trio.r3, "by-word")
    refused = trio.r1.run("event", "-tag=a", "x")
    assert refused.returncode == 1
    assert "Error firing event: Unexpected response code: 500 (Cannot provide tag" in refused.stdout


def test_the_last_256_are_kept(trio):
    for number in range(260):
        trio.r3.api("/v1/event/fire/many?node=r3", "PUT", b"%d" % number)
    until(LONG, lambda: names(trio.r3)[-1] == "many" and len(names(trio.r3)) == 256
          and base64.b64decode(trio.r3.api("/v1/event/list")[-1]["Payload"]) == b"259", "256 events, the last one last")


# ---- Queries.

def test_queries_are_answered_by_handlers_of_both_kinds(trio):
    got = trio.r2.api("/v1/agent/query/uptime?timeout=6s", "PUT", b"hi")
    assert sorted(got["Acks"]) == ["r1", "r2", "r3", "s1"]
    responses = {r["From"]: base64.b64decode(r["Payload"]).decode() for r in got["Responses"]}
    assert responses == {"r1": "uptime at r1\nhi", "s1": "serf\nhi\n"}
    assert sorted(got["Unanswered"]) == ["r2", "r3"] and got["Dropped"] == 0


def test_a_query_of_serf_is_answered_by_our_handler(trio):
    got = trio.serf.end_query(trio.serf.begin_query("-timeout=6s", "-node=r1", "uptime"))
    assert got == {"Acks": ["r1"], "Responses": {"r1": "uptime at r1"}}


@pytest.mark.slow
def test_answers_are_cut_and_failures_say_nothing(trio):
    got = trio.r2.api("/v1/agent/query/large?timeout=6s", "PUT")
    assert [r["From"] for r in got["Responses"]] == ["r1"]
    assert 900 <= len(base64.b64decode(got["Responses"][0]["Payload"])) <= 1024
    for name in ("bad", "slow", "nobody-knows"):
        assert trio.r2.api("/v1/agent/query/%s?timeout=2s" % name, "PUT")["Responses"] == []
    until(LONG, lambda: "handler ended after its timeout" in trio.r1.said(), "the slow one was ended")


@pytest.mark.slow
def test_the_command_asks_as_serf_does(trio):
    said = trio.r2.ask("query", "-timeout=6s", "-node=r1", "-tag", "role=^node$", "uptime", "x")
    assert said == ("Query 'uptime' dispatched\nAck from 'r1'\nResponse from 'r1': uptime at r1\nx\n"
                    "Total Acks: 1\nTotal Responses: 1\n")
    assert "Total Acks" not in trio.r2.ask("query", "-no-ack", "-timeout=1s", "uptime")
    said = json.loads(trio.r2.ask("query", "-format=json", "-timeout=6s", "-node=s1", "-relay-factor=1", "uptime"))
    assert said == {"Acks": ["s1"], "Responses": {"s1": "serf\n"}}


def test_bad_queries_are_refused(trio):
    cases = ["?tag=x", "?tag=x=(", "?timeout=x", "?timeout=2h", "?relay=6", "?relay=x"]
    assert [answer(trio.r1, "/v1/agent/query/q" + case, "PUT")[0] for case in cases] == [400] * len(cases)
    assert answer(trio.r1, "/v1/agent/query/_serf_install-key", "PUT", b"x")[0] == 400
    assert answer(trio.r1, "/v1/agent/query/", "PUT")[::2] == (400, "Missing name")
    assert answer(trio.r1, "/v1/agent/query/q", "PUT", b"y" * 2000)[::2] == (500, "query exceeds limit of 1024 bytes")


# ---- Members and coordinates.

def test_members_are_told_in_full(trio):
    rows = {row["Member"]["Name"]: row for row in trio.r1.api("/v1/agent/gossip/members")}
    assert set(rows) == {"r1", "r2", "r3", "s1"}
    assert rows["r1"]["Self"] and not rows["r2"]["Self"] and rows["r2"]["Rollcall"] and not rows["s1"]["Rollcall"]
    assert all(row["State"] == "alive" and row["Incarnation"] >= 0 for row in rows.values())
    lines = trio.r1.ask("members", "-detailed").splitlines()
    assert len(lines) == 5 and lines[0].split()[-3:] == ["Since", "RTT", "Notes"]


def test_round_trips_are_estimated(trio):
    until(LONG, lambda: trio.r1.run("rtt", "r2").returncode == 0, "r1 has measured r2")
    said = trio.r1.ask("rtt", "r2", "r1")
    assert said.startswith("Estimated r2 <-> r1 rtt: ") and said.endswith(" ms (using LAN coordinates)\n")
    assert trio.r1.run("rtt", "nobody").stdout == 'Could not find a coordinate for node "nobody"\n'
    _, index, text = answer(trio.r1, "/v1/coordinate/nodes")
    assert {"r1", "r2"} <= {row["Node"] for row in json.loads(text)}
    began = time.monotonic()
    assert int(answer(trio.r1, "/v1/coordinate/nodes?wait=1s&index=%d" % 2**62)[1]) >= int(index)
    assert time.monotonic() - began > 0.9
    assert answer(trio.r1, "/v1/coordinate/node/nobody")[0] == 404


# ---- Handlers.

class Watched:
    """An agent with watches, whose handlers write files."""

    def __init__(self, pool, watches, scripts="true", join=None):
        self.folder = pool.folder
        self.handler = self.folder / "handler"
        self.handler.write_text(HANDLER)
        self.handler.chmod(0o755)
        self.config = self.folder / "watches.hcl"
        self.scripts = scripts
        self.write(watches)
        self.agent = pool.agent("w1", join=join, words=["-config-file=%s" % self.config])

    def write(self, watches):
        text = watches.replace("HANDLER", str(self.handler)).replace("FOLDER", str(self.folder))
        self.config.write_text("enable_script_handlers = %s\nwatches = [%s]\n" % (self.scripts, text))

    def runs(self, name):
        """[(index, JSON)] of the handler that writes to `name`; a line without its end is still being written."""
        path = self.folder / name
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [(line.partition(" ")[0], json.loads(line.partition(" ")[2])) for line in lines]

    def events(self, name):
        return [base64.b64decode(event["Payload"]).decode() for _, events in self.runs(name) for event in events]


def test_handlers_get_what_has_changed(pool):
    w = Watched(pool, '{ type = "service" service = "web" passingonly = true args = ["HANDLER", "FOLDER/service"] },'
                      '{ type = "services" args = ["HANDLER", "FOLDER/services"] },'
                      '{ type = "checks" state = "critical" args = ["HANDLER", "FOLDER/checks"] },'
                      '{ type = "nodes" args = ["HANDLER", "FOLDER/nodes"] },'
                      '{ type = "members" args = ["HANDLER", "FOLDER/members"] },'
                      '{ type = "event" name = "deploy" args = ["HANDLER", "FOLDER/event"] }')
    until(LONG, lambda: all(w.runs(name) for name in ("service", "services", "checks", "nodes", "members")), "all ran once")
    assert w.runs("event") == []  # nothing to tell
    w.agent.api("/v1/agent/service/register", "PUT", {"Name": "web", "Check": {"TTL": "1h", "Status": "passing"}})
    until(LONG, lambda: [row["Service"]["ID"] for row in w.runs("service")[-1][1]] == ["web"], "web is there")
    until(LONG, lambda: "web" in w.runs("services")[-1][1], "and listed")
    w.agent.api("/v1/agent/check/fail/service:web", "PUT")
    until(LONG, lambda: w.runs("service")[-1][1] == [], "web is gone")
    until(LONG, lambda: [row["CheckID"] for row in w.runs("checks")[-1][1]] == ["service:web"], "its check is critical")
    w.agent.api("/v1/event/fire/deploy", "PUT", b"1")
    w.agent.api("/v1/event/fire/other", "PUT", b"2")
    until(LONG, lambda: w.events("event") == ["1"], lambda: str(w.events("event")))
    before = w.runs("services")
    other = pool.agent("w2", join=w.agent.address)
    until(LONG, lambda: len(w.runs("members")[-1][1]) == 2, "the other one joined")
    until(LONG, lambda: len(w.runs("nodes")[-1][1]) == 2, "and is a node")
    other.kill()
    until(LONG, lambda: FAILED in [row["Status"] for row in w.runs("members")[-1][1]], "and died")
    indexes = [int(index) for index, _ in w.runs("service")]
    assert indexes == sorted(indexes) and all(index > 0 for index in indexes)
    assert w.runs("services") == before, "nothing of the services has changed"


def test_one_handler_runs_at_a_time_and_misses_nothing(pool):
    w = Watched(pool, '{ type = "event" args = ["HANDLER", "FOLDER/event", "1", "3"] }')
    for number in range(20):
        w.agent.api("/v1/event/fire/e", "PUT", b"%d" % number)
    wanted = [str(number) for number in range(20)]
    until(LONG, lambda: w.events("event") == wanted, lambda: str(w.events("event")))
    assert len(w.runs("event")) < 10, "what came meanwhile came together"
    w.agent.says("ended with status 3")


def test_a_handler_that_hangs_is_killed_with_its_children(pool):
    w = Watched(pool, '{ type = "event" timeout = "3s" args = ["sh", "-c", "echo $$ >FOLDER/pid; sleep 1000 & sleep 1001"] },'
                      '{ type = "event" args = ["FOLDER/missing"] },'
                      '{ type = "event" args = ["sh", "-c", "exec <&-; head -c 10000000 /dev/zero"] },'
                      '{ type = "event" args = ["HANDLER", "FOLDER/event"] }')
    w.agent.api("/v1/event/fire/e", "PUT", b"x" * 400)
    w.agent.says("handler ended after its timeout of 3s")
    w.agent.says("cannot be started: no such file or directory")
    group = int((w.folder / "pid").read_text())

    def is_gone():
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False
    until(LONG, is_gone, "the whole group is gone")
    until(LONG, lambda: len(w.events("event")) == 1, "others are not held up")


def test_scripts_do_not_run_unless_enabled(pool):
    got = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    w = Watched(pool, '{ type = "nodes" args = ["HANDLER", "FOLDER/nodes"] },'
                      '{ type = "event" handler_type = "http" http_handler_config { method = "PUT" timeout = "5s"'
                      '  path = "http://127.0.0.1:%d/hook?a=b" header { X-Own = ["yes"] } } }' % server.server_port, scripts="false")
    w.agent.says("handlers of type script are disabled on this agent")
    w.agent.api("/v1/event/fire/e", "PUT", b"1")
    until(LONG, lambda: got, "the request came")
    server.shutdown()
    path, headers, body = got[0]
    assert path == "/hook?a=b" and headers["X-Own"] == "yes" and headers["Content-Type"] == "application/json"
    assert headers["X-Consul-Index"] == answer(w.agent, "/v1/event/list")[1] and body[0]["Name"] == "e"
    assert w.runs("nodes") == []
    # The API cannot make one, whatever it is told.
    assert answer(w.agent, "/v1/agent/service/register", "PUT",
                  json.dumps({"Name": "x", "Watches": [{"Type": "nodes", "Args": ["true"]}]}).encode())[0] == 400


def test_a_reload_changes_watches_in_one_step(pool):
    w = Watched(pool, '{ type = "services" args = ["HANDLER", "FOLDER/stays"] },'
                      '{ type = "nodes" args = ["sh", "-c", "echo $$ >FOLDER/pid; sleep 1000"] }')
    until(LONG, lambda: w.runs("stays") and (w.folder / "pid").exists(), "both ran")
    until(LONG, lambda: (w.folder / "pid").read_text().strip(), "it wrote its number")
    gone = int((w.folder / "pid").read_text())
    w.write('{ type = "services" args = ["HANDLER", "FOLDER/stays"] }, { type = "nodes" args = ["HANDLER", "FOLDER/new"] }')
    w.agent.signal(signal.SIGHUP)
    until(LONG, lambda: w.runs("new"), "the new one ran")

    def is_gone():
        try:
            os.kill(gone, 0)
        except ProcessLookupError:
            return True
        return False
    until(LONG, is_gone, "the old handler is gone")
    assert len(w.runs("stays")) == 1, "what stays is not run again"
    w.write('{ type = "bogus" args = ["HANDLER", "FOLDER/worse"] }')
    assert "Unsupported watch type: bogus" in answer(w.agent, "/v1/agent/reload", "PUT")[2]
    w.agent.api("/v1/agent/service/register", "PUT", {"Name": "web"})
    until(LONG, lambda: "web" in w.runs("stays")[-1][1], "all goes on as it was")


def test_the_command_runs_another_for_each_change(trio):
    out = trio.pool.folder / "watched"
    words = [ROLLCALL, "watch", "-http-addr=" + trio.r2.http, "-type=event", "-name=cli",
             "(echo $CONSUL_INDEX; cat) >>%s" % out]
    follower = subprocess.Popen(words)
    try:
        time.sleep(0.5)
        for number in (1, 2):
            trio.r1.api("/v1/event/fire/cli", "PUT", b"%d" % number)
            until(LONG, lambda: out.exists() and len(out.read_text().splitlines()) == 2 * number, "it ran")
    finally:
        follower.kill()
        follower.wait()
    lines = out.read_text().splitlines()
    assert [[base64.b64decode(e["Payload"]) for e in json.loads(line)] for line in lines[1::2]] == [[b"1"], [b"2"]]
    assert all(line.isdigit() for line in lines[0::2])
    assert json.loads(trio.r2.ask("watch", "-type=nodes"))
    failed = trio.r2.run("watch", "-type=nodes", "-shell=false", "sh", "-c", "exit 3")
    assert (failed.returncode, failed.stdout) == (1, "Error executing handler: exit status 3\n")


# ---- Last, because somebody dies.

def test_members_wait_for_a_change_and_a_failed_one_is_pruned(trio):
    _, index, _ = answer(trio.r1, "/v1/agent/members")
    got = []
    asker = threading.Thread(target=lambda: got.append(answer(trio.r1, "/v1/agent/members?wait=60s&index=" + index)), daemon=True)
    asker.start()
    trio.r3.kill()
    asker.join(2 * LONG)
    assert got and int(got[0][1]) > int(index)
    trio.r1.sees("r3", FAILED)
    trio.serf.sees("r3", FAILED)
    assert trio.r1.ask("force-leave", "-prune", "r3") == ""
    until(LONG, lambda: "r3" not in trio.r1.members() and "r3" not in trio.r2.members() and "r3" not in trio.serf.members(),
          lambda: "nobody knows r3: %s %s %s" % (trio.r1.view(), trio.r2.view(), trio.serf.view()))
