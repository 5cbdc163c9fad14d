"""The command line of the store: recorded outputs of Consul's, and what those do not show."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from patience import patient
import store_agents
from store_agents import Agents, until

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/cli"


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    agents = Agents(tmp_path_factory.mktemp("cli"))
    agents.server("node1", session_ttl_min="1s").start().ready()
    agents.client("node2").start().ready()
    yield agents
    agents.end()


class Cli:
    def __init__(self, agent, folder):
        self.agent, self.folder = agent, folder
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}, "CONSUL_HTTP_ADDR": agent.address + ":8500"}

    def __call__(self, *words, given=None, timeout=60):
        run = subprocess.run([str(store_agents.BINARY), *words], capture_output=True, cwd=self.folder, env=self.env, input=given,
                             timeout=timeout, check=False)
        run.out, run.err = run.stdout.decode("utf-8", "surrogateescape"), run.stderr.decode()
        return run

    def start(self, *words):
        return subprocess.Popen([str(store_agents.BINARY), *words], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def good(self, *words, given=None):
        run = self(*words, given=given)
        assert run.returncode == 0, (words, run.out, run.err)
        assert run.err == ""
        return run.out


@pytest.fixture(params=["at the server", "through an agent"])
def cli(request, pool, tmp_path):
    agent = pool.all[0 if request.param == "at the server" else 1]
    made = Cli(agent, tmp_path)
    made.good("kv", "delete", "-recurse", "")
    return made


def masked(text):
    text = re.sub(r"(?m)^((?:Create|Modify)Index +)\d+$", r"\1N", text)
    text = re.sub(r"to index \d+", "to index N", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    return re.sub(r"127\.\d+\.\d+\.\d+:8300", "ADDRESS", text)


def spaces(text):
    return [line.split() for line in text.splitlines()]


def test_recorded_commands_print_what_they_did(pool, tmp_path):
    cli = Cli(pool.all[0], tmp_path)
    cli.good("kv", "put", "app/config/port", "1")
    deviations = (FIXTURES / "DEVIATIONS.md").read_text()
    wrong = []
    for path in sorted(FIXTURES.glob("c*.txt")):
        text = path.read_text()
        line, status, out, err = re.search(r"\$ consul (.*)\n== exit status (\d+)\n== stdout\n(.*)== stderr\n(.*)", text, re.S).groups()
        run = cli(*(word.strip("'") for word in re.findall(r"'[^']*'|\S+", line)))
        same = (run.returncode, spaces(masked(run.out)), masked(run.err)) == (int(status), spaces(masked(out)), masked(err))
        if same == (f"| {path.stem} |" in deviations):
            wrong.append((path.stem, run.returncode, run.out, run.err))
    assert wrong == []
    cli.good("kv", "delete", "app/config/port")


def test_any_bytes_are_a_value(cli):
    value = bytes(range(256)) * 16
    (cli.folder / "value").write_bytes(value)
    assert cli.good("kv", "put", "bytes/file", "@value") == "Success! Data written to: bytes/file\n"
    cli.good("kv", "put", "bytes/stdin", "-", given=value)
    cli.good("kv", "put", "-base64", "bytes/base64", "AAH/")
    cli.good("kv", "put", "bytes/empty")
    for key in ("file", "stdin"):
        assert cli("kv", "get", f"bytes/{key}").stdout == value + b"\n"
    assert cli("kv", "get", "bytes/base64").stdout == b"\0\1\xff\n"
    assert cli.good("kv", "get", "-base64", "bytes/base64") == "AAH/\n"
    assert cli.good("kv", "get", "bytes/empty") == "\n"
    refused = cli("kv", "put", "bytes/none", "@nowhere")
    assert (refused.returncode, refused.out) == (1, "") and "Failed to read nowhere" in refused.err
    assert "not base64" in cli("kv", "put", "-base64", "bytes/none", "***").err
    (cli.folder / "large").write_bytes(b"x" * 600000)
    refused = cli("kv", "put", "bytes/large", "@large")
    assert refused.returncode == 1 and "too large" in refused.err, refused.err


def test_any_name_is_a_key(cli):
    for key in ("a b", "a?b", "a&b=c", "a%2Fb", "ä/ö", "-", "a#b", "a+b"):
        cli.good("kv", "put", "--", "names/" + key, "v" + key)
        assert cli.good("kv", "get", "names/" + key) == "v" + key + "\n"
    assert len(cli.good("kv", "get", "-keys", "-separator=", "names/").splitlines()) == 8
    exported = cli.good("kv", "export", "names/")
    cli.good("kv", "delete", "-recurse", "names/")
    imported = cli.good("kv", "import", "-prefix=new/", "-", given=exported.encode())
    assert "Imported: new/names/a b\n" in imported
    again = json.loads(cli.good("kv", "export", "new/names/"))
    assert [{**pair, "key": pair["key"][4:]} for pair in again] == json.loads(exported)


def test_keys_are_compared_flagged_and_listed(cli):
    assert cli.good("kv", "put", "-cas", "-modify-index=0", "-flags=42", "k/a", "1") == "Success! Data written to: k/a\n"
    index = re.search(r"ModifyIndex +(\d+)", cli.good("kv", "get", "-detailed", "k/a")).group(1)
    assert "Flags            42\n" in cli.good("kv", "get", "-detailed", "k/a")
    assert cli("kv", "put", "-cas", "-modify-index=0", "k/a", "2").returncode == 1
    cli.good("kv", "put", "-cas", f"-modify-index={index}", "k/a", "3")
    assert "CAS failed" in cli("kv", "delete", "-cas", f"-modify-index={index}", "k/a").err
    highest = str(2**64 - 1)
    cli.good("kv", "put", f"-flags={highest}", "k/high", "5")
    assert f"Flags            {highest}\n" in cli.good("kv", "get", "-detailed", "k/high")
    exported = cli.good("kv", "export", "k/high")
    assert json.loads(exported)[0]["flags"] == 2**64 - 1
    cli.good("kv", "delete", "k/high")
    cli.good("kv", "import", exported)
    assert f"Flags            {highest}\n" in cli.good("kv", "get", "-detailed", "k/high")
    cli.good("kv", "delete", "k/high")
    cli.good("kv", "put", "k/b/c", "4")
    assert cli.good("kv", "get", "-keys", "k/") == "k/a\nk/b/\n"
    assert cli.good("kv", "get", "-recurse", "k/") == "k/a:3\nk/b/c:4\n"
    assert cli.good("kv", "get", "-recurse", "none/") == ""
    assert cli.good("kv", "export", "none/") == "[]\n"
    assert cli.good("kv", "delete", "-recurse", "k/") == "Success! Deleted keys with prefix: k/\n"
    for words in (["put"], ["put", "-cas", "k", "v"], ["put", "-acquire", "k", "v"], ["get"], ["get", "a", "b"], ["delete"], ["none"], []):
        run = cli("kv", *words)
        assert run.returncode == 2 and run.out == "" and run.err != "", words


def test_sessions_and_their_locks(cli):
    session = cli.good("session", "create", "-name=mine", "-ttl=30s", "-no-checks", "-lock-delay=0s").strip()
    assert "mine" in cli.good("session", "list") and session in cli.good("session", "info", session)
    assert cli.good("kv", "put", "-acquire", f"-session={session}", "s/l", "me") == "Success! Lock acquired on: s/l\n"
    detailed = cli.good("kv", "get", "-detailed", "s/l")
    assert session in detailed and re.search(r"(?m)^LockIndex +1$", detailed) and re.search(r"(?m)^Term +\d+$", detailed)
    other = cli.good("session", "create", "-ttl=30s", "-no-checks", "-lock-delay=0s").strip()
    refused = cli("kv", "put", "-acquire", f"-session={other}", "s/l", "you")
    assert (refused.returncode, refused.err) == (1, "Error! Did not acquire lock on: s/l\n")
    assert cli("kv", "put", "-release", f"-session={other}", "s/l").returncode == 1
    cli.good("session", "renew", session)
    assert cli.good("session", "destroy", session) == f"Destroyed session: {session}\n"
    assert cli("session", "info", session).returncode == 1
    assert cli("session", "renew", session).returncode == 1
    cli.good("kv", "put", "-acquire", f"-session={other}", "s/l", "you")
    cli.good("session", "destroy", other)


def test_a_key_may_go_by_itself(cli):
    cli.good("kv", "put", "-ttl=1h", "long", "x")
    cli.good("kv", "put", "-ttl=1s", "short", "x")
    assert cli.good("kv", "get", "long") == "x\n"
    until(lambda: cli("kv", "get", "short").returncode == 1)


def test_a_watch_knows_flags_of_64_bits(cli):
    cli.good("kv", "put", "-flags=18446744073709551615", "w/big", "1")
    cli.good("kv", "put", "-flags=9223372036854775808", "w/bigger", "2")
    assert '"Flags": 18446744073709551615' in cli.good("watch", "-type=key", "-key=w/big")
    assert [p["Flags"] for p in json.loads(cli.good("watch", "-type=keyprefix", "-prefix=w/big"))] == [2**64 - 1, 2**63]


def test_a_watch_prints_and_runs_what_changes(cli):
    cli.good("kv", "put", "w/a", "1")
    assert json.loads(cli.good("watch", "-type=key", "-key=w/a"))["Key"] == "w/a"
    assert [p["Key"] for p in json.loads(cli.good("watch", "-type=keyprefix", "-prefix=w/"))] == ["w/a"]
    follows = cli.start("watch", "-type=keyprefix", "-prefix=w/", "tr -d '\\n' >> seen; echo >> seen")
    seen = cli.folder / "seen"
    try:
        until(lambda: '"w/a"' in seen.read_text())
        cli.good("kv", "put", "w/b", "2")
        until(lambda: '"w/b"' in seen.read_text().splitlines()[-1])
        cli.good("kv", "delete", "w/a")
        until(lambda: '"w/a"' not in seen.read_text().splitlines()[-1])
    finally:
        follows.terminate()
        follows.wait(patient(20))


def test_a_lock_runs_its_command_alone_and_tells_how_it_ended(cli):
    assert cli.good("lock", "l/a", "echo $CONSUL_LOCK_HELD ${ROLLCALL_LOCK_TERM:+term}") == "true term\n"
    assert cli.good("lock", "-shell=false", "l/a", "echo", "two  words", "*") == "two  words *\n"
    failed = cli("lock", "l/a", "exit 3")
    assert (failed.returncode, failed.err) == (0, "Error running handler: exit status 3\n")
    assert cli("lock", "-child-exit-code", "l/a", "exit 3").returncode == 2
    assert cli("lock", "-pass-stdin", "l/a", "cat", given=b"given").out == "given"
    assert cli("lock", "l/a", "cat", given=b"given").out == ""
    holder = cli.start("lock", "-verbose", "l/a", "echo held; sleep 60")
    try:
        assert [holder.stdout.readline() for _ in range(3)][-1] == "held\n"
        late = cli("lock", "-try=1s", "l/a", "echo never")
        assert late.returncode == 1 and late.out == "" and "Lock acquisition failed" in late.err
        holder.terminate()
        holder.wait(patient(20))
        assert cli.good("lock", "-try=20s", "l/a", "echo free") == "free\n"
    finally:
        holder.kill()
    cli.good("kv", "put", "l/used/.lock", "data")
    assert "existing key does not match lock use" in cli("lock", "l/used", "true").err
    assert "No such file" in cli("lock", "-shell=false", "l/a", "/nowhere").err


def test_a_lock_that_is_taken_away_ends_its_command(cli):
    holder = cli.start("lock", "-ttl=2s", "-lock-delay=0s", "l/b", "echo held; trap 'echo ending; exit 0' TERM; while :; do sleep 0.1; done")
    assert holder.stdout.readline() == "held\n"
    session = json.loads(cli.agent.call("GET", "/v1/kv/l/b/.lock").body)[0]["Session"]
    cli.good("session", "destroy", session)
    assert holder.wait(patient(20)) == 1
    assert holder.stdout.read().endswith("ending\nLock lost, the command was ended\n")  # dash says of its sleep: Terminated


def test_what_a_command_leaves_behind_ends_with_it(cli):
    marker = "l-c-%d" % os.getpid()  # nobody else's
    cli.good("lock", "l/c", f"{sys.executable} -c 'import time; time.sleep(60)' {marker} & true")
    assert marker not in subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout


def test_a_semaphore_has_so_many_places(cli):
    holders = [cli.start("lock", "-n=2", "-ttl=5s", "l/n", "echo in; exec sleep 60") for _ in range(2)]
    try:
        assert [holder.stdout.readline() for holder in holders] == ["in\n"] * 2
        full = cli("lock", "-n=2", "-try=1s", "l/n", "echo never")
        assert full.returncode == 1 and "never" not in full.out and "all places are taken" in full.err, full.err
        assert "semaphore limit conflict" in cli("lock", "-n=3", "l/n", "true").err
        assert "existing key does not match lock use" in cli("lock", "l/n", "true").err
        holders[0].terminate()
        assert cli.good("lock", "-n=2", "-try=20s", "l/n", "echo in") == "in\n"
    finally:
        for holder in holders:
            holder.terminate()
            holder.wait(patient(20))


def test_a_snapshot_is_saved_looked_at_and_restored(cli):
    cli.good("kv", "put", "snap/a", "1")
    assert re.fullmatch(r"Saved and verified snapshot to index \d+\n", cli.good("snapshot", "save", "s"))
    facts = json.loads(cli.good("snapshot", "inspect", "-format=json", "s"))
    assert facts["Datacenter"] == "dc1" and facts["From"] == "sqlite" and facts["Size"] == (cli.folder / "s").stat().st_size
    assert "Index" in cli.good("snapshot", "inspect", "s")
    cli.good("kv", "put", "snap/a", "2")
    cli.good("kv", "put", "snap/b", "2")
    assert cli.good("snapshot", "restore", "s") == "Restored snapshot\n"
    until(lambda: cli("kv", "get", "-recurse", "snap/").out == "snap/a:1\n")
    whole = (cli.folder / "s").read_bytes()
    (cli.folder / "bad").write_bytes(whole[:-9] + b"x" + whole[-8:])
    (cli.folder / "cut").write_bytes(whole[:-20])
    for file in ("bad", "cut", "none"):
        for what in ("inspect", "restore"):
            refused = cli("snapshot", what, file)
            assert refused.returncode == 1 and refused.out == "" and refused.err.startswith("Error"), (file, what)
    assert cli.good("kv", "get", "-recurse", "snap/") == "snap/a:1\n"


def test_operators_see_the_engine(cli, pool):
    rows = spaces(cli.good("operator", "raft", "list-peers"))
    assert rows[0][0] == "Node" and [row[0] for row in rows[1:]] == ["node1"] and rows[1][3:5] == ["leader", "true"]
    assert "Healthy:           true\n" in cli.good("operator", "autopilot", "state")
    assert cli("operator", "raft").returncode == 2


def test_settings_of_autopilot_are_kept(cli):
    done = cli("operator", "autopilot", "set-config", "-min-quorum=3", "-server-stabilization-time=90s",
               "-cleanup-dead-servers=true", "-redundancy-zone-tag=zone")
    assert done.returncode == 0 and done.out == "Configuration updated!\n" and "decides by itself" in done.err
    shown = cli.good("operator", "autopilot", "get-config")
    assert "MinQuorum = 3\n" in shown and "ServerStabilizationTime = 1m30s\n" in shown
    assert "CleanupDeadServers = true\n" in shown and 'RedundancyZoneTag = "zone"\n' in shown
    assert cli("operator", "autopilot", "set-config", "-min-quorum=0").returncode == 0
    shown = cli.good("operator", "autopilot", "get-config")
    assert "MinQuorum = 0\n" in shown and "CleanupDeadServers = true\n" in shown
    assert cli("operator", "autopilot", "set-config", "-min-quorum=many").returncode == 2
    assert cli("operator", "autopilot", "set-config", "-last-contact-threshold=soon").returncode == 1


def test_without_a_server_errors_say_so(pool, tmp_path):
    agent = pool.client("alone").start()
    cli = Cli(agent, tmp_path)
    until(lambda: cli("kv", "put", "x", "y").returncode == 0)
    server = pool.all[0]
    server.kill()
    try:
        begun = time.monotonic()
        for words in (["kv", "put", "x", "y"], ["kv", "get", "x"], ["kv", "delete", "x"], ["session", "create"], ["session", "list"],
                      ["snapshot", "save", "f"], ["operator", "raft", "list-peers"], ["lock", "-try=1s", "x", "true"]):
            run = cli(*words)
            assert run.returncode == 1 and run.out == "" and "No cluster leader" in run.err, (words, run.out, run.err)
        assert time.monotonic() - begun < 50 and not (tmp_path / "f").exists()
    finally:
        server.start().ready()
