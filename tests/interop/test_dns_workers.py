"""DNS by threads of its own: what arrives at its sockets, in which order it leaves, and what there is too much of."""
import os
import resource
import shutil
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from patience import patient
from store_agents import BINARY, Agents, until

PORT = 8600
A, TXT, OPT, KEEPALIVE = 1, 16, 41, 11
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
PER_ADDRESS, CONNECTIONS = 32, 256


def question(name, kind=A, number=0, options=None):
    wire = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0 if options is None else 1)
    wire += b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack(">HH", kind, 1)
    return wire if options is None else wire + struct.pack(">BHHIH", 0, OPT, 1232, 0, len(options)) + options


def framed(*queries):
    return b"".join(struct.pack(">H", len(query)) + query for query in queries)


class Stream:
    """A TCP connection that reads whole answers."""

    def __init__(self, address, source=None):
        self.socket = socket.create_connection((address, PORT), patient(10), (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = b""

    def send(self, *queries):
        self.socket.sendall(framed(*queries))

    def next(self):
        """An answer, or None at the end."""
        while len(self.bytes) < 2 or len(self.bytes) < 2 + struct.unpack(">H", self.bytes[:2])[0]:
            try:
                part = self.socket.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            self.bytes += part
        size = 2 + struct.unpack(">H", self.bytes[:2])[0]
        answer, self.bytes = self.bytes[2:size], self.bytes[size:]
        return answer

    def rest(self):
        found = []
        while (answer := self.next()) is not None:
            found.append(answer)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def number(answer):
    return struct.unpack(">H", answer[:2])[0]


def outcome(answer):
    """The code, and how many answers there are."""
    return answer[3] & 15, struct.unpack(">H", answer[6:8])[0]


def ask_udp(address, query, port=PORT, seconds=1, tries=8):
    """Connected, so that only what comes from the address that was asked is heard."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.settimeout(patient(seconds))
        for _ in range(tries):
            client.send(query)
            try:
                return client.recv(65536)
            except TimeoutError:
                continue
    raise AssertionError("no answer")


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    agents = Agents(tmp_path_factory.mktemp("workers"))
    agents.server("s1", ports={"dns": PORT}, dns_config={"workers": 2}).start().ready()
    agents.client("a1", ports={"dns": PORT}).start().ready()
    for agent in agents.all:
        agent.call("PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80})
    assert agents.all[0].call("POST", "/v1/query", {"Name": "q", "Service": {"Service": "web"}}).status == 200
    for agent in agents.all:
        for name in ("web.service.rollcall", "q.query.rollcall"):
            until(lambda agent=agent, name=name: outcome(ask_udp(agent.address, question(name))) == (NOERROR, 2))
    yield agents
    agents.end()


@pytest.fixture
def two(pool):
    """A server with two threads."""
    return pool.all[0]


@pytest.fixture
def one(pool):
    """An agent with one thread, which has prepared queries from the server."""
    return pool.all[1]


def threads_of(agent):
    return sorted(p.read_text().strip() for p in Path(f"/proc/{agent.process.pid}/task").glob("*/comm") if p.read_text().startswith("dns-"))


def test_there_are_as_many_threads_as_were_asked_for(one, two):
    assert threads_of(one) == ["dns-0"]
    assert threads_of(two) == ["dns-0", "dns-1"][: len(os.sched_getaffinity(0))]


def test_every_client_is_answered_by_some_thread(two):
    for at in range(64):
        assert outcome(ask_udp(two.address, question("web.service.rollcall", number=at))) == (NOERROR, 2)
        with Stream(two.address) as stream:
            stream.send(question("web.service.rollcall", number=at))
            assert outcome(stream.next()) == (NOERROR, 2)


def test_prepared_queries_are_answered_over_udp_and_are_no_hindrance(one, two):
    for agent in (one, two):
        for name, want in (("q", (NOERROR, 2)), ("unknown", (NXDOMAIN, 0))):
            assert outcome(ask_udp(agent.address, question(f"{name}.query.rollcall"))) == want


def test_a_prepared_query_does_not_hold_up_what_is_behind_it(two):
    with Stream(two.address) as stream:
        stream.send(*(question(f"{name}.rollcall", number=at) for at, name in enumerate(["web.service", "q.query", "s1.node", "web.service"])))
        answers = [stream.next() for _ in range(4)]
    assert [number(a) for a in answers] == [0, 2, 3, 1]
    assert [outcome(a) for a in answers] == [(NOERROR, 2), (NOERROR, 1), (NOERROR, 2), (NOERROR, 2)]


def test_a_stream_may_be_cut_at_every_byte(two):
    both = framed(question("web.service.rollcall", number=1), question("q.query.rollcall", number=2))
    with Stream(two.address) as stream:
        for cut in range(1, len(both)):
            stream.socket.sendall(both[:cut])
            time.sleep(0.002)  # so that most cuts are seen as such
            stream.socket.sendall(both[cut:])
            answers = [stream.next(), stream.next()]
            assert sorted(number(a) for a in answers) == [1, 2]
            assert {outcome(a) for a in answers} == {(NOERROR, 2)}


def test_who_sends_no_more_is_still_answered(one, two):
    for agent in (one, two):
        with Stream(agent.address) as stream:
            stream.send(*(question("q.query.rollcall" if at % 3 == 0 else "web.service.rollcall", number=at) for at in range(1000)))
            stream.socket.shutdown(socket.SHUT_WR)
            answers = stream.rest()
        assert sorted(number(a) for a in answers) == list(range(1000))
        assert {outcome(a) for a in answers} == {(NOERROR, 2)}


def test_a_client_that_does_not_read_is_not_read_either(two):
    many = framed(*(question("web.service.rollcall", number=at) for at in range(1000)))
    with Stream(two.address) as stream:
        stream.socket.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 10000:  # as much as is asked would be 1 GB of answers
                stream.socket.sendall(many)
                sent += 1
        stream.socket.settimeout(patient(10))
        assert outcome(stream.next()) == (NOERROR, 2)


def closed(stream, seconds=20):
    stream.socket.settimeout(patient(seconds))
    return stream.next() is None


def test_what_is_no_query_ends_the_connection(two):
    for nonsense in (b"\0\0", b"\0\x0b" + bytes(11), framed(question("a.node.rollcall")[:2] + b"\x80" + question("a.node.rollcall")[3:])):
        with Stream(two.address) as stream:
            stream.socket.sendall(nonsense)
            assert closed(stream)


def test_who_does_nothing_is_let_go(one):
    query = framed(question("web.service.rollcall"))
    began = time.monotonic()
    waits = {}
    streams = {name: Stream(one.address) for name in ("silent", "slow", "partial", "idle")}
    streams["slow"].socket.sendall(query[:9])
    streams["partial"].socket.sendall(query + query[:9])
    streams["idle"].socket.sendall(query)

    def wait(name):
        streams[name].socket.settimeout(patient(20))
        streams[name].rest()
        waits[name] = time.monotonic() - began

    threads = [threading.Thread(target=wait, args=(name,), daemon=True) for name in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stream in streams.values():
        stream.socket.close()
    for name, least in (("silent", 2), ("slow", 2), ("partial", 5), ("idle", 10)):
        assert waits[name] >= least - 0.1, name
    assert waits["slow"] < waits["idle"]


def source(agent, at):
    return agent.address.rsplit(".", 2)[0] + f".251.{at + 1}"


def idle_told(stream):
    """What edns-tcp-keepalive says, in seconds."""
    stream.send(question("a1.node.rollcall", options=struct.pack(">HH", KEEPALIVE, 0)))
    answer = stream.next()
    at = answer.index(struct.pack(">HH", KEEPALIVE, 2))
    return struct.unpack(">H", answer[at + 4:at + 6])[0] / 10


def is_open(stream):
    """After an answer: a connection that is over a limit gets none."""
    try:
        stream.send(question("a1.node.rollcall"))
        return stream.next() is not None
    except OSError:
        return False


def fill(agent, streams):
    """As many connections as there may be, those of an address and all; True if each limit was met."""
    for at in range(CONNECTIONS // PER_ADDRESS):
        mine = [Stream(agent.address, source(agent, at)) for _ in range(PER_ADDRESS)]
        streams += mine
        assert all(is_open(stream) for stream in mine)
        with Stream(agent.address, source(agent, at)) as over:
            assert not is_open(over), "one more of this address"
        if at < CONNECTIONS // PER_ADDRESS - 1:
            with Stream(agent.address, source(agent, 99)) as other:
                assert is_open(other), "others may still come"
    told = idle_told(streams[-1])
    with Stream(agent.address, source(agent, 99)) as over:
        assert not is_open(over), "one more of all"
    return told == 0


def test_an_address_has_so_many_connections_and_all_together_too(one):
    with Stream(one.address) as stream:
        assert idle_told(stream) == 10

    def is_met():
        streams = []
        try:
            return fill(one, streams)
        finally:
            for stream in streams:
                stream.socket.close()

    until(is_met, 60)  # when there is little room left the idle are let go at once: a slow machine needs more than one try

    def may_come():
        with Stream(one.address) as stream:
            return is_open(stream)

    until(may_come)


def resident_kb(agent):
    return int(next(line.split()[1] for line in Path(f"/proc/{agent.process.pid}/status").read_text().splitlines() if line.startswith("VmRSS")))


def test_a_flood_of_connections_takes_no_memory(one):
    before = resident_kb(one)
    room = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    for round in range(4):
        flood = []
        for at in range(room):
            client = socket.socket()
            client.setblocking(False)
            client.bind((source(one, at % 200), 0))
            client.connect_ex((one.address, PORT))
            flood.append(client)
        assert outcome(ask_udp(one.address, question("web.service.rollcall"))) == (NOERROR, 2)
        for client in flood:
            client.close()
    assert resident_kb(one) - before < 16 << 10

    def may_come():
        with Stream(one.address) as stream:
            return is_open(stream)

    until(may_come)


@pytest.fixture
def everywhere(tmp_path):
    agents = Agents(tmp_path)
    agent = agents.server("e1", ports={"dns": 8601}, addresses={"dns": ":: 0.0.0.0"}, dns_config={"workers": 2}, bootstrap_expect=1).start().ready()
    agent.call("PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80, "Address": "2001:db8::1"})
    assert agent.call("POST", "/v1/query", {"Name": "q", "Service": {"Service": "web"}}).status == 200
    yield agent
    agents.end()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_any_address_is_answered_from_the_one_that_was_asked(everywhere):
    own = everywhere.address
    addresses = ["::1", own, own.rsplit(".", 1)[0] + ".77", "127.0.0.1"]
    aaaa = 28
    for address in addresses:
        for name in ("web.service.rollcall", "q.query.rollcall"):
            until(lambda name=name, address=address: outcome(ask_udp(address, question(name, aaaa), 8601)) == (NOERROR, 1))


def test_a_link_local_address_is_refused_in_words():
    run = subprocess.run([BINARY, "agent", "-dev", "-hcl", 'addresses { dns = "fe80::1%lo" }'], capture_output=True, text=True, timeout=patient(20))
    assert run.returncode != 0 and "link-local address" in run.stderr and "give another one" in run.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_told(tmp_path, two, workers):
    agents = Agents(tmp_path)
    other = agents.server("s2", ports={"dns": PORT}, addresses={"dns": two.address}, dns_config={"workers": workers}).start()
    other.process.wait(patient(20))
    assert other.process.returncode != 0
    assert f"cannot listen on {two.address}:{PORT} (udp)" in other.log() and "another DNS server or agent has it" in other.log()


def test_it_stops_and_starts_under_load(tmp_path):
    agents = Agents(tmp_path)
    agent = agents.server("s1", ports={"dns": PORT}, dns_config={"workers": 2}, bootstrap_expect=1).start().ready()
    over = threading.Event()

    def ask_on():
        while not over.is_set():
            try:
                with Stream(agent.address) as stream:
                    stream.socket.settimeout(1)
                    for _ in range(50):
                        stream.send(question("s1.node.rollcall"), question("q.query.rollcall"))
                        if stream.next() is None:
                            break
            except OSError:
                time.sleep(0.01)

    def ask_on_udp():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((agent.address, PORT))
            client.settimeout(0.05)
            while not over.is_set():
                try:
                    for _ in range(8):
                        client.send(question("s1.node.rollcall"))
                        client.send(question("q.query.rollcall"))
                    client.recv(65536)
                except OSError:
                    continue

    threads = [threading.Thread(target=what, daemon=True) for what in (ask_on, ask_on_udp) * 2]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            until(lambda: outcome(ask_udp(agent.address, question("s1.node.rollcall"), tries=1)) == (NOERROR, 1))
            agent.process.terminate()
            assert agent.process.wait(patient(20)) == 0, agent.log()
            agent.start()
    finally:
        over.set()
        for thread in threads:
            thread.join()
        agents.end()
