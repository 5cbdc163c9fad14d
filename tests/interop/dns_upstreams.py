"""DNS servers that an agent forwards to: each says what a function of it says, or nothing, or nonsense; over UDP and TCP."""
import contextlib
import random
import socket
import struct
import threading
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

PORT = 5300
LOOP_MARK = 65313


def reply(query, records=(), rcode=dns.rcode.NOERROR, authority=(), flags=0):
    """`records`: "ttl type data", owned by the question; the same for `authority`, owned by test."""
    answer = dns.message.make_response(query, recursion_available=True)
    answer.set_rcode(rcode)
    answer.flags |= flags
    owner = query.question[0].name
    for section, name, texts in ((answer.answer, owner, records), (answer.authority, "test.", authority)):
        sets = {}
        for text in texts:
            ttl, kind, data = text.split(" ", 2)
            sets.setdefault((ttl, kind), []).append(data)
        section += [dns.rrset.from_text(name, int(ttl), "IN", kind, *data) for (ttl, kind), data in sets.items()]
    return answer.to_wire(max_size=65535)


SOA = "60 SOA ns.test. host.test. 1 2 3 4 60"


def good(query, is_tcp):
    name = query.question[0].name.to_text().lower()
    if name.startswith("nx."):
        return reply(query, rcode=dns.rcode.NXDOMAIN, authority=[SOA])
    if query.question[0].rdtype == dns.rdatatype.A:
        return reply(query, ["77 A 198.51.100.7"])
    if query.question[0].rdtype == dns.rdatatype.PTR:
        return reply(query, ["77 PTR host.test."])
    return reply(query, authority=[SOA])


def silent(query, is_tcp):
    return None


def garbage(query, is_tcp):
    return query.id.to_bytes(2, "big") + bytes([0x81, 0x80]) + random.Random(query.id).randbytes(60)


def wrong_id(query, is_tcp):
    wire = good(query, is_tcp)
    return bytes([wire[0] ^ 0xff]) + wire[1:]


def wrong_case(query, is_tcp):
    """Another letter: whoever forges answers does not know which are capitals."""
    wire = bytearray(good(query, is_tcp))
    wire[13] ^= 0x20
    return bytes(wire)


def wrong_question(query, is_tcp):
    wire = bytearray(good(query, is_tcp))
    wire[13] = ord("q") if wire[13] != ord("q") else ord("z")
    return bytes(wire)


def servfail(query, is_tcp):
    return reply(query, rcode=dns.rcode.SERVFAIL)


def refused(query, is_tcp):
    return reply(query, rcode=dns.rcode.REFUSED)


def without_edns(query, is_tcp):
    """As before 1999."""
    if query.edns >= 0:
        wire = query.question[0].name.to_wire() + struct.pack("!HH", query.question[0].rdtype, query.question[0].rdclass)
        return struct.pack("!HHHHHH", query.id, 0x8001, 1, 0, 0, 0) + wire
    return good(query, is_tcp)


def slow(query, is_tcp):
    time.sleep(0.4)
    return good(query, is_tcp)


def large(count):
    """So many addresses, for which UDP is too small."""
    def answer(query, is_tcp):
        if not is_tcp:
            return reply(query, flags=dns.flags.TC)
        head = struct.pack("!HHHHHH", query.id, 0x8180, 1, count, 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([10, 1, i // 256, i % 256]) for i in range(count))
        return head + query.question[0].name.to_wire() + struct.pack("!HH", 1, 1) + records
    return answer


class Upstream:
    """A server at `ip`; what it is asked stands in `asked`. `say` may be changed at any time."""

    def __init__(self, ip, say, port=PORT):
        self.say, self.asked, self.address = say, [], (ip, port)
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.udp, self.tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (self.udp, self.tcp):
            one.bind(self.address)
        self.tcp.listen(50)
        self.is_over = False
        for serve in (self._udp, self._tcp):
            threading.Thread(target=serve, daemon=True).start()

    @property
    def text(self):
        return ("[%s]:%d" if ":" in self.address[0] else "%s:%d") % self.address

    def names(self):
        """The names asked for, in lower case, probes of loops left out."""
        names = [query.question[0].name.to_text().lower().rstrip(".") for query in list(self.asked)]
        return [name for name in names if not name.endswith("rollcall-loop-probe")]

    def last_about(self, name):
        """The last question about that name: probes of loops may come at any time."""
        return [query for query in list(self.asked) if query.question[0].name.to_text().lower().rstrip(".") == name][-1]

    def _answer(self, wire, is_tcp):
        query = dns.message.from_wire(wire, ignore_trailing=True)
        self.asked.append(query)
        return self.say(query, is_tcp)

    def _udp(self):
        while not self.is_over:
            with contextlib.suppress(OSError):
                wire, peer = self.udp.recvfrom(65535)
                if wire:  # nothing: it is being closed
                    threading.Thread(target=self._one, args=(wire, peer), daemon=True).start()

    def _one(self, wire, peer):
        answer = self._answer(wire, False)
        if answer:
            with contextlib.suppress(OSError):
                self.udp.sendto(answer, peer)

    def _tcp(self):
        while not self.is_over:
            with contextlib.suppress(OSError):
                connection, _ = self.tcp.accept()
                threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def _connection(self, connection):
        stream = connection.makefile("rb")
        with connection, contextlib.suppress(OSError, struct.error):
            while True:
                answer = self._answer(stream.read(struct.unpack("!H", stream.read(2))[0]), True)
                if answer:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def close(self):
        self.is_over = True
        for one in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def marks(query):
    """The loop marks of a query: instance and hops."""
    return [struct.unpack("!QB", option.data) for option in query.options if option.otype == LOOP_MARK]


def mark(instance, hops):
    return dns.edns.GenericOption(LOOP_MARK, struct.pack("!QB", instance, hops))
