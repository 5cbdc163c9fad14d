"""Keys of a pool beside a real serf: who is lost, who is not, who is told; the file, the API, the stages."""
import base64
import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest

from serf_pool import ALIVE, FAILED, LONG, new_key, until

PATH = "/v1/operator/keyring"


def ask(agent, method, key, more=""):
    """(status, text) of an order."""
    body = json.dumps({"Key": key}).encode()
    request = urllib.request.Request("http://%s%s%s" % (agent.http, PATH, more), body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def must(agent, method, key, more=""):
    """An order may be repeated: answers go by UDP."""
    until(LONG, lambda: ask(agent, method, key, more)[0] == 200, lambda: ask(agent, method, key, more))


def ring(agent, more=""):
    return agent.api(PATH + more)[0]


def keyring_file(pool, agent):
    return pool.folder / ("data-" + agent.name) / "keyring.json"


def restart(agent, key=None):
    agent.kill()
    if key is not None:
        agent.command = [word for word in agent.command if not word.startswith("-encrypt=")] + ["-encrypt=" + key]
    agent.start()


def silent_about(program, *keys):
    for key in keys:
        assert key not in program.said(), "%s logs a key" % program.name


@pytest.fixture
def trio(pool):
    """s1, r1 and r2 under pool.key."""
    pool.key = new_key()
    serf = pool.serf("s1")
    r1 = pool.agent("r1", join=serf.address)
    r2 = pool.agent("r2", join=r1.address)
    pool.agree()
    return pool, serf, r1, r2


def test_the_api_answers_as_consul_does(trio):
    pool, serf, r1, r2 = trio
    new = new_key()
    status, text = ask(r1, "POST", new)
    assert (status, text) == (200, "")
    assert ring(r2) == {"WAN": False, "Datacenter": "dc1", "Segment": "", "Keys": {pool.key: 3, new: 3},
                        "PrimaryKeys": {pool.key: 3}, "NumNodes": 3}
    assert ring(r2, "?local-only=true")["NumNodes"] == 1
    assert ring(r2, "?relay-factor=1")["Keys"] == {pool.key: 3, new: 3}
    status, text = ask(r1, "DELETE", pool.key)
    assert status == 500
    assert text.startswith("4 errors occurred:\n\t* dc1 (LAN) error: 3/3 nodes reported failure\n")
    assert "\t* s1: Removing the primary key is not allowed\n" in text
    for method, body, more in (("POST", "short", ""), ("POST", "", ""), ("PUT", new, "?relay-factor=6"),
                               ("PUT", new, "?local-only=true")):
        assert ask(r1, method, body, more)[0] == 400, (method, body, more)
    assert "secret" not in ask(r1, "PUT", "secret")[1]
    must(r2, "PUT", new)
    must(r2, "DELETE", pool.key)
    assert ring(r1)["PrimaryKeys"] == {new: 3}
    info = r1.ask("info")
    assert "keys = 1\n" in info and "cipher = AES-256-GCM" in info and "verify_incoming = true" in info
    for program in (r1, r2):
        silent_about(program, new, pool.key)
    assert serf.complaints("Removing the primary key is not allowed") == []


def test_a_key_may_come_by_standard_input(trio):
    _, _, r1, _ = trio
    new = new_key()
    done = subprocess.run([*r1.command[:1], "keyring", "-http-addr=" + r1.http, "-install", "-"], input=new + "\n", text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert new in r1.ask("keyring", "-list")
    assert "[3/3]" in r1.ask("keyring", "-list-primary")


def test_without_encryption_there_is_no_keyring(pool):
    agent = pool.agent("r1")
    done = agent.run("keyring", "-list")
    assert done.returncode == 1
    assert "Keyring is empty (encryption not enabled)" in done.stdout
    done = agent.run("keyring", "-install", new_key())
    assert done.returncode == 1
    assert "No keyring to modify (encryption not enabled)" in done.stdout


def test_a_step_that_would_lose_somebody_is_refused(trio):
    pool, _, r1, r2 = trio
    new = new_key()
    must(r1, "POST", new)
    r2.kill()
    r1.sees("r2", FAILED)
    status, text = ask(r1, "PUT", new)
    assert status == 409 and "r2 has failed" in text, text
    status, text = ask(r1, "DELETE", pool.key)
    assert status == 500, text  # still the first key
    r2.start()
    r1.sees("r2", ALIVE)
    must(r1, "PUT", new)
    must(r1, "DELETE", pool.key)
    pool.agree()


def test_who_was_lost_by_force_is_told_and_comes_back_with_the_new_key(trio):
    pool, serf, r1, r2 = trio
    new = new_key()
    r2.kill()
    r1.sees("r2", FAILED)
    must(r1, "POST", new)
    must(r1, "PUT", new, "?force")
    must(r1, "DELETE", pool.key, "?force")
    r2.start()
    r2.says("none under a key that this node has. Was the key of the pool changed while it was away?")
    assert list(r2.view()) == ["r2"]
    restart(r2, new)
    pool.agree()
    silent_about(r2, new, pool.key)
    assert r2.said().count("joined nobody") == 1


def test_a_stale_file_does_not_beat_the_configured_key(trio):
    pool, _, r1, r2 = trio
    new = new_key()
    must(r1, "POST", new_key())  # so that there is a file
    until(LONG, keyring_file(pool, r2).exists, "a keyring file")
    stale = keyring_file(pool, r2).read_text()
    r2.kill()
    r1.sees("r2", FAILED)
    must(r1, "POST", new)
    must(r1, "PUT", new, "?force")
    must(r1, "DELETE", pool.key, "?force")
    assert keyring_file(pool, r2).read_text() == stale
    restart(r2, new)
    pool.agree()
    r2.says("encrypt has changed since the last run")
    assert json.loads(keyring_file(pool, r2).read_text())[0] == new


@pytest.mark.parametrize("peer", ["serf", "agent"])
def test_a_key_that_we_have_and_the_pool_uses_goes_first(pool, peer):
    """A keyring file in the wrong order: the pool cannot read us, answers under its key, and we follow."""
    used, stale = new_key(), new_key()
    first = getattr(pool, peer)("s1", key=used)
    agent = pool.agent("r1", key=used)
    agent.kill()
    keyring_file(pool, agent).write_text(json.dumps([stale, used]))
    agent.command += ["-retry-join=" + first.address, "-retry-interval=1s"]
    agent.start()
    pool.agree()
    agent.says("which goes first now")
    assert json.loads(keyring_file(pool, agent).read_text()) == [used, stale]


def test_a_damaged_file_is_kept_aside_and_told(trio):
    pool, _, r1, r2 = trio
    r2.kill()
    keyring_file(pool, r2).write_text('["torn')
    with pytest.raises(AssertionError):
        r2.start()
    assert r2.process.wait() == 1
    assert "keyring.json was no list of 1 to 8 keys and is now keyring.json.broken" in r2.said()
    r2.start()
    pool.agree()


def test_the_file_is_for_nobody_else(trio):
    pool, _, r1, _ = trio
    new = new_key()
    must(r1, "POST", new)
    path = keyring_file(pool, r1)
    assert json.loads(path.read_text()) == [pool.key, new]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_refuses_the_change(trio):
    pool, _, r1, r2 = trio
    blocker = keyring_file(pool, r2).with_name("keyring.json.new")
    blocker.mkdir()  # root writes everywhere, but not into a folder
    status, text = ask(r1, "POST", new_key())
    assert status == 500 and "r2: the keyring file cannot be written" in text, text
    assert "1/3 nodes reported failure" in text
    assert len(ring(r2, "?local-only")["Keys"]) == 1
    blocker.rmdir()


def test_encryption_is_switched_on_in_a_running_pool(pool, tmp_path):
    key = new_key()
    config = {}

    def configure(agent, incoming, outgoing):
        config[agent.name].write_text(json.dumps(
            {"encrypt": key, "encrypt_verify_incoming": incoming, "encrypt_verify_outgoing": outgoing}))

    agents = []
    for name in ("r1", "r2", "r3"):
        config[name] = tmp_path / (name + ".json")
        config[name].write_text("{}")
        agents.append(pool.agent(name, join=agents[0].address if agents else None,
                                 words=["-config-file=%s" % config[name]]))
    pool.agree()
    agents[0].command += ["-retry-join=" + agents[1].address, "-retry-interval=1s"]
    for agent in agents:
        configure(agent, False, False)
        agent.signal(15)
        agent.process.wait(LONG)
        agent.start()
        pool.agree()
        agent.says("we do NOT encrypt yet, and take plain gossip of others")
    for agent in agents:
        configure(agent, False, True)
        agent.ask("reload")
        pool.agree()
    for agent in agents:
        configure(agent, True, True)
        agent.ask("reload")
        pool.agree()
        assert "verify_incoming = true\n\tverify_outgoing = true" in agent.ask("info")
    before = [agent.api("/v1/agent/self")["Stats"]["encryption"]["opened_plain"] for agent in agents]
    until(LONG, lambda: int(agents[0].api("/v1/agent/self")["Stats"]["encryption"]["opened_by_first_key"]) > 50, "traffic")
    assert [agent.api("/v1/agent/self")["Stats"]["encryption"]["opened_plain"] for agent in agents] == before
    assert all("[WARN]" not in agent.said().rsplit("configuration reloaded", 1)[1] for agent in agents)
    intruder = pool.agent("r4", join=agents[0].address)
    intruder.says("The pool is encrypted, this node has no key")
    assert base64.b64decode(key) and key not in intruder.said()
