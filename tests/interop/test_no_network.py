"""An agent that starts before its network does: there is no way to anybody, and that is known at once."""
import os
import subprocess
import time

import pytest

import serf_pool


@pytest.fixture
def network():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    made = serf_pool.Namespace()  # with a loopback interface, and no route to anywhere
    yield
    made.leave()


def test_an_agent_without_a_way_to_its_pool_goes_on_and_tries_again(network, tmp_path):
    process = subprocess.Popen(
        [serf_pool.ROLLCALL, "agent", "-node=one", "-bind=127.0.0.1", "-dns-port=-1", "-data-dir=%s" % tmp_path,
         "-log-level=debug", "-retry-join=192.0.2.1", "-retry-join=192.0.2.2", "-retry-interval=50ms"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said = []
    end = time.monotonic() + serf_pool.LONG
    for line in process.stderr:
        said.append(line)
        if "nobody to join yet (attempt 5)" in line or time.monotonic() > end:
            break
    process.terminate()
    rest = process.communicate(timeout=serf_pool.LONG)[1]
    assert process.returncode == 0, "".join(said) + rest
    assert "nobody to join yet (attempt 5)" in said[-1]
