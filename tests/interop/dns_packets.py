"""DNS packets made by hand, as wrong as a test wants them, and answers read strictly. No library is trusted here: it might mend what
is to be seen."""
import socket
import struct

IN, CHAOS, ANY_CLASS = 1, 3, 255
A, NS, SOA, PTR, TXT, SIG, AAAA, SRV, OPT, DNSKEY, TSIG, IXFR, AXFR, ANY = 1, 2, 6, 12, 16, 24, 28, 33, 41, 48, 250, 251, 252, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS, BADCOOKIE = 0, 1, 2, 3, 4, 5, 16, 23
QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010
NSID, SUBNET, EXPIRE, COOKIE, KEEPALIVE, PADDING, EXTENDED = 3, 8, 9, 10, 11, 12, 15
DO = 0x8000
ID = 0x1234


def name(text):
    labels = [label.encode() for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(text, type_=A, class_=IN):
    return name(text) + struct.pack("!HH", type_, class_)


def header(flags=0, counts=(1, 0, 0, 0), opcode=0, id_=ID):
    return struct.pack("!HHHHHH", id_, flags | opcode << 11, *counts)


def record(owner, type_, class_=IN, ttl=0, data=b""):
    return owner + struct.pack("!HHIH", type_, class_, ttl, len(data)) + data


def option(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


def opt(options=b"", size=1232, version=0, flags=0, owner=b"\0"):
    return record(owner, OPT, size, version << 16 | flags, options)


def query(text, type_=A, class_=IN, flags=0, edns=None, opcode=0):
    """One question, and an OPT if its bytes are given."""
    return header(flags, (1, 0, 0, 1 if edns else 0), opcode) + question(text, type_, class_) + (edns or b"")


class Broken(Exception):
    """What was received is no DNS message."""


class Answer:
    """A message with all that is in it."""

    def __init__(self, packet):
        self.packet = packet
        if len(packet) < 12:
            raise Broken(f"{len(packet)} bytes")
        self.id, flags, *self.counts = struct.unpack("!HHHHHH", packet[:12])
        self.flags, self.opcode, self.rcode = flags & 0x87f0, flags >> 11 & 15, flags & 15
        self.edns, self.options, self.sections, at = None, {}, ([], [], []), 12
        self.question = None
        for _ in range(self.counts[0]):
            end = self._name_end(at) + 4
            self.question, at = packet[at:end], end
        for section, count in zip(self.sections, self.counts[1:]):
            for _ in range(count):
                at = self._record(section, at)
        if at != len(packet):
            raise Broken(f"{len(packet) - at} bytes behind the last record")

    def _name_end(self, at):
        """Where the name at `at` ends; its pointers go backwards and to a name."""
        end, seen = None, at
        while True:
            if at >= len(self.packet):
                raise Broken("a name beyond the end")
            length = self.packet[at]
            if length == 0:
                return end or at + 1
            if length & 0xc0 == 0xc0:
                target = struct.unpack("!H", self.packet[at:at + 2])[0] & 0x3fff
                if target >= seen:
                    raise Broken("a pointer forwards")
                end, at, seen = end or at + 2, target, target
            elif length & 0xc0:
                raise Broken("a label of unknown type")
            else:
                at += 1 + length

    def _record(self, section, at):
        fields = self._name_end(at)
        if fields + 10 > len(self.packet):
            raise Broken("a record cut short")
        type_, class_, ttl, size = struct.unpack("!HHIH", self.packet[fields:fields + 10])
        data = self.packet[fields + 10:fields + 10 + size]
        if len(data) != size:
            raise Broken("data cut short")
        if type_ == OPT:
            if self.edns is not None or section is not self.sections[2] or self.packet[at] != 0:
                raise Broken("an OPT that should not be")
            self.edns = {"size": class_, "version": ttl >> 16 & 0xff, "flags": ttl & 0xffff}
            self.rcode |= ttl >> 24 << 4
            self._options(data)
        else:
            section.append((type_, class_, data))
        return fields + 10 + size

    def _options(self, data):
        while data:
            code, size = struct.unpack("!HH", data[:4])
            if len(data) < 4 + size:
                raise Broken("an option cut short")
            self.options.setdefault(code, []).append(data[4:4 + size])
            data = data[4 + size:]

    def has(self, type_, section=0):
        return any(found == type_ for found, _, _ in self.sections[section])

    @property
    def errors(self):
        """The codes of extended errors."""
        return [struct.unpack("!H", data[:2])[0] for data in self.options.get(EXTENDED, [])]


def over_udp(address, packet, timeout=2.0, tries=3, source=None):
    """The answer's bytes, or None. What is lost on loopback was lost by a full socket: asked again."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asker:
        if source:
            asker.bind((source, 0))
        asker.connect(address)
        asker.settimeout(timeout)
        for _ in range(tries):
            asker.send(packet)
            try:
                return asker.recv(65535)
            except socket.timeout:
                continue
            except ConnectionRefusedError:
                return None
    return None


def read_message(connection):
    """One message of a TCP stream, or None at its end."""
    data = b""
    while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
        wanted = 2 if len(data) < 2 else 2 + struct.unpack("!H", data[:2])[0]
        part = connection.recv(wanted - len(data))
        if not part:
            return None
        data += part
    return data[2:]


def over_tcp(address, packet, timeout=10.0):
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.sendall(struct.pack("!H", len(packet)) + packet)
            return read_message(connection)
    except OSError:
        return None
