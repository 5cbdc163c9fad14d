"""Bad queries, options and too many questions over the wire: what an agent's DNS answers to them, byte by byte."""
import socket
import struct
import subprocess
import time
import urllib.request

import pytest

import serf_pool
from dns_packets import (
    A, AA, AD, ANY, ANY_CLASS, AXFR, BADCOOKIE, BADVERS, CD, CHAOS, COOKIE, DO, FORMERR, IN, IXFR, KEEPALIVE, NOERROR, NOTIMP, NSID,
    NXDOMAIN, OPT, PADDING, RD, REFUSED, SIG, SOA, SUBNET, TC, TSIG, TXT, Answer, Z, header, name, opt, option, over_tcp, over_udp, query,
    question, read_message, record)
from patience import patient

PORT, HTTP = 8600, 8500
SERVER, STRANGER, EXEMPT = "127.0.0.1", "198.51.100.7", "192.0.2.7"
NODE = "a.node.rollcall"
QUIET = 1.0  # seconds after which no answer is taken for none
CLIENT_COOKIE = b"clients!"
RATE = 5
SETTINGS = """
dns_config {
  nsid = "ns-7"
  version = "rollcall"
  rate_limit { responses_per_second = %d nxdomains_per_second = %d errors_per_second = %d exempt = ["192.0.2.0/24"] }
}
""" % (RATE, RATE, RATE)
pytestmark = pytest.mark.skipif(bool(serf_pool.why_not()), reason=str(serf_pool.why_not()))


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manners")
    network = serf_pool.Namespace()
    for address in (STRANGER, EXEMPT):
        subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
    (folder / "dns.hcl").write_text(SETTINGS)
    command = [serf_pool.ROLLCALL, "agent", "-dev", "-node=a", f"-dns-port={PORT}", f"-http-port={HTTP}", f"-config-file={folder}/dns.hcl",
               f"-data-dir={folder}/data"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    serf_pool.until(serf_pool.LONG, lambda: over_udp((SERVER, PORT), query(NODE)), "no DNS")
    yield (SERVER, PORT)
    process.terminate()
    code = process.wait(serf_pool.LONG)
    network.leave()
    assert code == 0, (folder / "log").read_text()


ONE = question(NODE)
LONG_NAME = b"".join(b"\x3f" + b"x" * 63 for _ in range(4)) + b"\0"
ANY_RECORD = record(name("a"), A, data=b"\1\2\3\4")
BROKEN = record(b"\0", OPT, 1232, 1 << 16, b"abc")
DROP, ECHO, NO_ECHO, EDNS, PLAIN = None, True, False, True, False

# What, the query, its code or DROP, whether the question is echoed, whether there is OPT: the table of dns/README.md.
TABLE = [
    ("nothing", b"", DROP, NO_ECHO, PLAIN),
    ("11 bytes", header()[:11], DROP, NO_ECHO, PLAIN),
    ("QR=1", header(0x8000) + ONE, DROP, NO_ECHO, PLAIN),
    ("header only", header(counts=(0, 0, 0, 0)), FORMERR, NO_ECHO, PLAIN),
    ("no question, a cookie", header(counts=(0, 0, 0, 1)) + opt(option(COOKIE, CLIENT_COOKIE)), NOERROR, NO_ECHO, EDNS),
    ("question cut", header() + ONE[:-7], FORMERR, NO_ECHO, PLAIN),
    ("bad label type", header() + b"\x43abc\0\0\1\0\1", FORMERR, NO_ECHO, PLAIN),
    ("pointer loop", header() + b"\xc0\x0c\0\1\0\1", FORMERR, NO_ECHO, PLAIN),
    ("name over 255 bytes", header() + LONG_NAME + b"\0\1\0\1", FORMERR, NO_ECHO, PLAIN),
    ("no type", header() + name(NODE), FORMERR, NO_ECHO, PLAIN),
    ("two questions", header(counts=(2, 0, 0, 0)) + ONE + ONE, FORMERR, NO_ECHO, PLAIN),
    *((f"opcode {number}", header(opcode=number) + ONE, NOTIMP, NO_ECHO, PLAIN) for number in range(1, 16)),
    ("TC, Z and a code set", header(TC | Z | 5) + ONE, NOERROR, ECHO, PLAIN),
    ("trailing bytes", header() + ONE + b"x", FORMERR, ECHO, PLAIN),
    ("an answer in it", header(counts=(1, 1, 0, 0)) + ONE + ANY_RECORD, FORMERR, ECHO, PLAIN),
    ("an authority in it", header(counts=(1, 0, 1, 0)) + ONE + ANY_RECORD, FORMERR, ECHO, PLAIN),
    ("ARCOUNT larger than what is there", header(counts=(1, 0, 0, 2)) + ONE + opt(), FORMERR, ECHO, EDNS),
    ("class ANY", query(NODE, class_=ANY_CLASS), REFUSED, ECHO, PLAIN),
    ("class 0", query(NODE, class_=0), REFUSED, ECHO, PLAIN),
    ("unknown class", query(NODE, class_=77), REFUSED, ECHO, PLAIN),
    ("another zone", query("example.com", edns=opt()), REFUSED, ECHO, EDNS),
    ("type 0", query(NODE, 0), FORMERR, ECHO, PLAIN),
    ("type OPT as a question", query(NODE, OPT), FORMERR, ECHO, PLAIN),
    ("unknown type", query(NODE, 65280), NOERROR, ECHO, PLAIN),
    ("mixed case", query("A.nOdE.RollCall"), NOERROR, ECHO, PLAIN),
    ("EDNS version 1", query(NODE, edns=opt(version=1)), BADVERS, ECHO, EDNS),
    ("EDNS version 1 with broken data", query(NODE, edns=BROKEN), BADVERS, ECHO, EDNS),
    ("two OPT", header(counts=(1, 0, 0, 2)) + ONE + opt() + opt(), FORMERR, ECHO, EDNS),
    ("OPT as an answer", header(counts=(1, 1, 0, 0)) + ONE + opt(), FORMERR, ECHO, PLAIN),
    ("OPT as an authority", header(counts=(1, 0, 1, 0)) + ONE + opt(), FORMERR, ECHO, PLAIN),
    ("OPT not of the root", query(NODE, edns=opt(owner=name("a"))), FORMERR, ECHO, PLAIN),
    ("option beyond the data", query(NODE, edns=opt(b"\0\3\0\1")), FORMERR, ECHO, PLAIN),
    ("half an option", query(NODE, edns=opt(b"\0\3")), FORMERR, ECHO, PLAIN),
    ("EDNS size 0", query(NODE, edns=opt(size=0)), NOERROR, ECHO, EDNS),
    *((f"cookie of {size} bytes", query(NODE, edns=opt(option(COOKIE, bytes(size)))), FORMERR, ECHO, PLAIN) for size in (0, 7, 9, 15, 41)),
    *((f"cookie of {size} bytes", query(NODE, edns=opt(option(COOKIE, bytes(size)))), NOERROR, ECHO, EDNS) for size in (8, 16, 24, 40)),
    ("TSIG", query(NODE, edns=record(b"\0", TSIG, ANY_CLASS)), FORMERR, ECHO, PLAIN),
    ("SIG(0)", query(NODE, edns=record(b"\0", SIG, ANY_CLASS)), FORMERR, ECHO, PLAIN),
    ("AXFR", query("rollcall", AXFR), NOTIMP, ECHO, PLAIN),
    ("IXFR", header(counts=(1, 0, 1, 0)) + question("rollcall", IXFR) + record(name("rollcall"), SOA, data=b"\0\0" + bytes(20)), NOTIMP,
     ECHO, PLAIN),
    ("padding and a client subnet", query(NODE, edns=opt(option(PADDING, bytes(99)) + option(SUBNET, b"\0\1\x18\0\xc0\0\2"))), NOERROR, ECHO,
     EDNS),
    ("version.bind", query("version.bind", TXT, CHAOS), NOERROR, ECHO, PLAIN),
    ("id.server, not configured", query("id.server", TXT, CHAOS), REFUSED, ECHO, PLAIN),
]


def wrong_with(received, packet, code, echo, edns):
    if received is None or code is DROP:
        return None if received is None and code is DROP else f"got {received!r}"
    answer = Answer(received)
    found = (answer.rcode, answer.question is not None, answer.edns is not None)
    if found != (code, echo, edns):
        return f"(code, question, OPT) is {found}"
    if answer.question and not packet[12:].startswith(answer.question):
        return "another question"
    if code == FORMERR and len(received) > len(packet):
        return "larger than its cause"
    return None if answer.edns is None or answer.edns["size"] == 1232 else f"EDNS size {answer.edns['size']}"


def test_bad_queries_over_udp_get_what_the_table_says(agent):
    wrong = {}
    for word, packet, code, echo, edns in TABLE:
        received = over_udp(agent, packet, QUIET if code is DROP else 2.0, 1 if code is DROP else 5)
        wrong[word] = wrong_with(received, packet, code, echo, edns)
    assert not {word: why for word, why in wrong.items() if why}


def test_bad_queries_over_tcp_get_the_same_or_the_connection_is_closed(agent):
    wrong = {word: wrong_with(over_tcp(agent, packet), packet, code, echo, edns) for word, packet, code, echo, edns in TABLE}
    assert not {word: why for word, why in wrong.items() if why}


def test_query_too_large_for_udp_is_malformed(agent):
    packet = query(NODE, edns=opt(option(PADDING, bytes(2000))))
    answer = Answer(over_udp(agent, packet))
    assert (answer.rcode, answer.question) == (FORMERR, None)
    assert Answer(over_tcp(agent, packet)).rcode == NOERROR


def test_flags_of_a_query_are_copied_or_cleared(agent):
    answer = Answer(over_udp(agent, query(NODE, flags=AA | TC | RD | Z | AD | CD, edns=opt(flags=0xffff))))
    assert answer.flags & (AA | TC | RD | Z | AD | CD) == AA | RD | CD
    assert answer.edns == {"size": 1232, "version": 0, "flags": DO}


def test_refusal_says_why(agent):
    assert Answer(over_udp(agent, query("example.com", edns=opt()))).errors == [20]


def test_any_over_udp_is_one_set_of_records(agent):
    answer = Answer(over_udp(agent, query("rollcall", ANY)))
    assert len({type_ for type_, _, _ in answer.sections[0]}) == 1


def test_name_and_version_of_the_server_are_told_to_who_asks(agent):
    assert Answer(over_udp(agent, query(NODE, edns=opt(option(NSID))))).options == {NSID: [b"ns-7"]}
    assert Answer(over_udp(agent, query(NODE, edns=opt()))).options == {}
    assert Answer(over_udp(agent, query("version.bind", TXT, CHAOS))).sections[0] == [(TXT, CHAOS, b"\x08rollcall")]


def test_keepalive_is_told_over_tcp(agent):
    packet = query(NODE, edns=opt(option(KEEPALIVE)))
    assert Answer(over_udp(agent, packet)).options == {}
    assert Answer(over_tcp(agent, packet)).options == {KEEPALIVE: [struct.pack("!H", 100)]}


def cookie_of(received):
    found, = Answer(received).options[COOKIE]
    assert found.startswith(CLIENT_COOKIE) and len(found) == 24
    return found


def with_cookie(cookie, word=NODE):
    return query(word, edns=opt(option(COOKIE, cookie)))


def test_cookie_is_given_and_known_again(agent):
    cookie = cookie_of(over_udp(agent, with_cookie(CLIENT_COOKIE)))
    assert cookie_of(over_udp(agent, with_cookie(cookie))) == cookie
    assert cookie_of(over_tcp(agent, with_cookie(cookie))) == cookie
    forged = CLIENT_COOKIE + bytes(16)
    answer = Answer(over_udp(agent, with_cookie(forged)))
    assert (answer.rcode, answer.has(A)) == (NOERROR, True)
    asked_alone = header(counts=(0, 0, 0, 1)) + opt(option(COOKIE, cookie))
    assert Answer(over_udp(agent, asked_alone)).rcode == NOERROR
    asked_alone = header(counts=(0, 0, 0, 1)) + opt(option(COOKIE, forged))
    assert Answer(over_udp(agent, asked_alone)).rcode == BADCOOKIE


def limited(action):
    with urllib.request.urlopen(f"http://{SERVER}:{HTTP}/v1/agent/metrics?format=prometheus", timeout=patient(10)) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("rollcall_dns_limited_total") and f'action="{action}"' in line)


class Crowd:
    """A socket of somebody who asks many questions and then looks what came."""

    def __init__(self, agent, source):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((source, 0))
        self.socket.connect(agent)

    def ask(self, packet, times):
        """What came: an answer to each question that the agent does not say it dropped."""
        dropped, end = limited("dropped"), time.monotonic() + patient(10)
        for _ in range(times):
            self.socket.send(packet)
        answers = []
        self.socket.settimeout(0.2)
        while len(answers) < times:
            try:
                answers.append(Answer(self.socket.recv(65535)))
            except socket.timeout:
                if len(answers) + limited("dropped") - dropped == times or time.monotonic() > end:
                    break
        return answers


def settle():
    """Buckets fill within two seconds."""
    time.sleep(2.1)


@pytest.mark.parametrize("word, code", [(NODE, NOERROR), ("none.node.rollcall", NXDOMAIN), ("example.com", REFUSED)])
def test_stranger_who_asks_too_often_is_sent_to_tcp_or_hears_nothing(agent, word, code):
    settle()
    slipped, dropped = limited("slipped"), limited("dropped")
    packet = query(word)
    answers = Crowd(agent, STRANGER).ask(packet, 200)
    whole = [a for a in answers if not a.flags & TC]
    cut = [a for a in answers if a.flags & TC]
    # A network that was silent gets two seconds' worth; a slow machine takes a while to ask, in which the bucket fills again.
    assert 2 * RATE <= len(whole) <= 100 and {a.rcode for a in whole} == {code}
    assert cut and all(a.packet[12:] == packet[12:] and not any(a.sections) and a.rcode == NOERROR for a in cut)
    assert limited("slipped") - slipped == len(cut)
    assert limited("dropped") - dropped == 200 - len(answers) > 0
    assert abs(len(cut) - (200 - len(answers))) <= 1
    assert Answer(over_tcp(agent, packet)).rcode == code


def test_stranger_with_a_cookie_is_answered_as_often_as_he_asks(agent):
    settle()
    crowd = Crowd(agent, STRANGER)
    answers = crowd.ask(with_cookie(CLIENT_COOKIE), 100)
    bad = [a for a in answers if a.rcode == BADCOOKIE]
    assert bad and not any(a.sections[0] or a.flags & TC for a in bad)
    cookie = cookie_of(bad[0].packet)
    settle()
    answers = crowd.ask(with_cookie(cookie), 300)
    assert len(answers) == 300 and {(a.rcode, a.flags & TC, a.has(A)) for a in answers} == {(NOERROR, 0, True)}


@pytest.mark.parametrize("source", [EXEMPT, "127.0.0.2"])
def test_exempt_networks_and_this_host_are_not_limited(agent, source):
    answers = Crowd(agent, source).ask(query(NODE), 300)
    assert len(answers) == 300 and {(a.rcode, a.flags & TC) for a in answers} == {(NOERROR, 0)}


def test_tcp_closes_what_is_no_message(agent):
    for sent in (b"\0\0", struct.pack("!H", 11) + bytes(11)):
        with socket.create_connection(agent, patient(10)) as connection:
            connection.sendall(sent)
            assert read_message(connection) is None
    with socket.create_connection(agent, patient(30)) as connection:
        connection.sendall(struct.pack("!H", 65535) + bytes(10))
        begun = time.monotonic()
        assert read_message(connection) is None
        assert time.monotonic() - begun > 2


def test_tcp_takes_a_query_in_pieces_cut_anywhere(agent):
    packet = query(NODE, SOA, IN, edns=opt())
    stream = struct.pack("!H", len(packet)) + packet
    with socket.create_connection(agent, patient(10)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(stream)):
            connection.sendall(stream[:cut])
            time.sleep(0.001)
            connection.sendall(stream[cut:])
            assert Answer(read_message(connection)).rcode == NOERROR, cut
