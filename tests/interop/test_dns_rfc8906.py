"""The queries of RFC 8906 at an agent; and at NSD and Knot, and at a server that does most of it wrong, to see that the script is
right."""
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import dns_peers
import rfc8906
import serf_pool
from dns_packets import over_udp, query
from patience import patient

SCRIPT = Path(rfc8906.__file__)
PORT = 8600
pytestmark = pytest.mark.skipif(bool(serf_pool.why_not()), reason=str(serf_pool.why_not()))


@pytest.fixture(scope="module")
def network():
    made = serf_pool.Namespace()
    yield made
    made.leave()


@pytest.fixture(scope="module")
def agent(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rfc8906")
    command = [serf_pool.ROLLCALL, "agent", "-dev", "-node=a", f"-dns-port={PORT}", f"-data-dir={folder}"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    serf_pool.until(serf_pool.LONG, lambda: over_udp(("127.0.0.1", PORT), query("consul")), "no DNS")
    yield ("127.0.0.1", PORT)
    process.terminate()
    assert process.wait(serf_pool.LONG) == 0, (folder / "log").read_text()


def run(address, zone):
    done = subprocess.run([sys.executable, "-B", SCRIPT, address[0], str(address[1]), zone], capture_output=True, text=True,
                          timeout=patient(60))
    return done.returncode, done.stdout


@pytest.mark.parametrize("zone", ["rollcall", "consul"])
def test_agent_answers_every_query_of_rfc_8906(agent, zone):
    assert run(agent, zone) == (0, "".join(f"{word}: ok\n" for word, *_ in rfc8906.queries(zone)) + "ok\n")


@pytest.mark.parametrize("kind, port", [("nsd", 5301), ("knot", 5302)])
def test_servers_known_to_be_right_are_right(network, tmp_path, kind, port):
    if not dns_peers.is_there(kind):
        pytest.skip(f"{kind} is not installed")
    peer = dns_peers.Peer(tmp_path / kind, kind, port)
    try:
        code, said = run((peer.address, port), dns_peers.DOMAIN)
    finally:
        peer.end()
    assert code == 0 and said.endswith("ok\n"), said


def answer_by_copying(server):
    """All that a query holds, with QR set: flags, versions and options that nobody knows too."""
    with server:
        while True:
            packet, peer = server.recvfrom(4096)
            if not packet:
                return
            server.sendto(packet[:2] + struct.pack("!H", struct.unpack("!H", packet[2:4])[0] | 0x8000) + packet[4:], peer)


def test_server_that_only_copies_is_wrong_everywhere(network):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    address = server.getsockname()
    copier = threading.Thread(target=answer_by_copying, args=(server,))
    copier.start()
    try:
        results = dict(rfc8906.check(address, "rollcall"))
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", address)
        copier.join()
    assert all(results.values()), results
    assert "Z set" in results["reserved bit"]
    assert "EDNS version 1" in results["EDNS 1"]
    assert "option 100 echoed" in results["unknown option"]
    assert "EDNS flags 0x0040" in results["unknown flag"]
    assert results["TCP"] == ["no answer"]
