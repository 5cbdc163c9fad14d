"""More DNS than an agent can answer, for some seconds: the rest of it goes on (dns_overload.py for minutes, and figures)."""
import contextlib
import os
import socket
import struct
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import serf_pool  # noqa: E402
from dns_overload import GOOD, INTERVAL, Pool, bad_streams  # noqa: E402
from dns_peers import name_of  # noqa: E402
from dns_traffic import LOAD, SRV, Asker, memory_mb, question, stream, traffic  # noqa: E402
from patience import patient  # noqa: E402
from store_agents import until  # noqa: E402

SECONDS = 3
GROWTH_MB = 64 if os.environ.get("ROLLCALL_BUILD") == "asan" else 16  # sanitizers hold back what is freed


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    assert LOAD.exists(), f"{LOAD} is not built"
    network, made = serf_pool.Namespace(), None
    try:
        made = Pool(tmp_path_factory.mktemp("overload"))
        yield made
    finally:
        with contextlib.ExitStack() as ending:
            ending.callback(network.leave)
            if made is not None:
                ending.callback(made.end)


def test_who_is_asked_too_much_answers_what_it_can_and_nothing_else_suffers(pool):
    found, sizes, gaps = pool.overload(SECONDS, 400000)
    assert found["answered"] > 0
    assert max(sizes) - sizes[0] < GROWTH_MB, sizes
    assert max(gaps) < patient(INTERVAL + 1), gaps
    assert pool.failures() == []


def test_connections_that_say_nothing_give_way_to_who_asks(pool):
    asked = question(name_of("web10"), SRV)
    with contextlib.ExitStack() as ending:
        def connect(number):
            made = socket.create_connection((pool.asked.address, 8600), patient(5), source_address=(f"127.0.3.{number}", 0))
            ending.callback(made.close)
            return made
        for number in range(1, 10):
            for _ in range(32):  # as many as an address may have
                connect(number)
            one = connect(99)
            one.sendall(struct.pack(">H", len(asked)) + asked)
            assert one.recv(65536), f"an answer, after {number * 32} others"


@pytest.mark.parametrize("kind", [kind for kind in bad_streams(1) if kind != "none"])
def test_floods_leave_room_for_good_questions(pool, kind):
    """Whoever asks again after a second is answered, over UDP and over TCP; and what floods took is given back."""
    before = memory_mb(pool.asked.process.pid)[1]
    found = traffic(pool.asked.address, 8600, 1, stream(rate=500, **GOOD), stream("tcp", rate=200, sockets=2, **GOOD), bad_streams(20000)[kind])
    assert found[0]["answered"] > 0 and set(found[0]["rcodes"]) == {"0"}, found
    assert found[1]["answered"] > 0 and set(found[1]["rcodes"]) == {"0"}, found
    until(lambda: Asker(pool.asked.address, 8600).answers(name_of("web10"), SRV) == 10)
    assert memory_mb(pool.asked.process.pid)[1] - before < GROWTH_MB
    assert pool.failures() == []
