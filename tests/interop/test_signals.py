"""Being told to end, and told again: by a supervisor, by an impatient operator, in the very last moment."""
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

import proxy_lab
import serf_pool

TIMES = 30
STORM = 20  # seconds after which a program that hears nothing else would be stuck


@pytest.fixture
def network():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    made = serf_pool.Namespace()
    yield
    made.leave()


def started(words, port):
    """A program that answers at `port`: by then it watches for signals."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    end = time.monotonic() + serf_pool.LONG
    while True:
        assert process.poll() is None and time.monotonic() < end, process.communicate()[1]
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return process
        time.sleep(0.01)


def stormed(process, numbers):
    """The exit code, and what was said, of one that is told again and again until it has ended."""
    watch = os.pidfd_open(process.pid)
    end = time.monotonic() + STORM
    try:
        while not select.select([watch], [], [], 0)[0]:
            for number in numbers:
                os.kill(process.pid, number)
            assert time.monotonic() < end, "it goes on"
    finally:
        os.close(watch)
        process.kill()
        said = process.communicate()[1].decode()
    return process.returncode, said


def agent(folder, *words):
    return started([serf_pool.ROLLCALL, "agent", "-node=one", "-bind=127.0.0.1", "-dns-port=-1",
                    "-data-dir=%s" % folder, *words], 8500)


def proxy(folder):
    config = folder / "proxy.conf"
    config.write_text("listen tcp 127.0.0.1:20080 { pool away }\npool away { static 127.0.0.1:20081 }\n")
    return started([proxy_lab.program(), "-config", str(config)], 8800)


@pytest.mark.parametrize("start", [agent, proxy])
@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
                         ids=["term", "all"])
def test_a_storm_of_signals_does_not_kill_what_ends(network, tmp_path, start, numbers):
    for _ in range(TIMES):
        code, said = stormed(start(tmp_path), numbers)
        assert code == 0, said


@pytest.mark.parametrize("number, leaves", [(signal.SIGTERM, True), (signal.SIGQUIT, False)], ids=["term", "quit"])
def test_who_comes_back_at_once_does_not_leave(network, tmp_path, number, leaves):
    process = agent(tmp_path)
    os.kill(process.pid, number)
    said = process.communicate(timeout=serf_pool.LONG)[1].decode()
    assert process.returncode == 0, said
    assert ("leaving the cluster" in said) == leaves, said


def test_programs_of_an_agent_can_be_told_to_end(network, tmp_path):
    """They do not inherit that the agent blocks its signals."""
    check = 'checks = [{ name = "mask", interval = "10s", args = ["grep", "^SigBlk", "/proc/self/status"] }]'
    process = agent(tmp_path, "-enable-script-checks", "-hcl=" + check)

    def output():
        with urllib.request.urlopen("http://127.0.0.1:8500/v1/agent/checks", timeout=serf_pool.LONG) as answer:
            return json.load(answer)["mask"]["Output"].split()

    serf_pool.until(serf_pool.LONG, output, "a first run of the check")
    assert output() == ["SigBlk:", "0" * 16]
    process.terminate()
    said = process.communicate(timeout=serf_pool.LONG)[1]
    assert process.returncode == 0, said
