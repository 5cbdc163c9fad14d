#!/usr/bin/python3
"""Does a DNS server answer the queries of RFC 8906 section 8 as it should?

    tests/interop/rfc8906.py HOST PORT ZONE

ZONE is one that the server speaks for. For each query one line: "ok", or what is wrong; then "ok" alone if all were. Ends with 1 if
something is wrong.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dns_packets import (  # noqa: E402
    AA, AD, BADVERS, CD, COOKIE, DNSKEY, DO, EXPIRE, NOERROR, NOTIMP, NSID, QR, RD, SOA, SUBNET, TC, Answer, Broken, Z, header, opt, option,
    over_tcp, over_udp, query)

TYPE1000, OPTION_100, FLAG_40, OPCODE_15 = 1000, option(100), 0x40, 15
DEFINED = option(COOKIE, os.urandom(8)) + option(NSID) + option(EXPIRE) + option(SUBNET, b"\0\1\0\0")


def header_is(answer, rcode, authoritative, flags=0):
    """What is wrong with the code and with flags that are for the zone's server to set or to leave alone."""
    if answer.rcode != rcode:
        yield f"code {answer.rcode}, not {rcode}"
    if bool(answer.flags & AA) != authoritative:
        yield f"AA {'missing' if authoritative else 'set'}"
    for bit, word in ((RD, "RD"), (AD, "AD"), (Z, "Z")):
        if answer.flags & bit & ~flags:
            yield f"{word} set"
    if flags & RD and not answer.flags & RD:
        yield "RD not copied"
    if not answer.flags & QR:
        yield "QR missing"


def soa(answer, flags=0):
    yield from header_is(answer, NOERROR, True, flags)
    if not answer.has(SOA):
        yield "no SOA in the answer"


def plain_soa(answer, flags=0):
    yield from soa(answer, flags)
    if answer.edns is not None:
        yield "OPT unasked"


def nothing(answer):
    yield from header_is(answer, NOERROR, True)
    if answer.sections[0]:
        yield "records of a type that nobody knows"
    if answer.edns is not None:
        yield "OPT unasked"


def not_implemented(answer):
    yield from header_is(answer, NOTIMP, False)
    if answer.opcode != OPCODE_15:
        yield f"opcode {answer.opcode}, not {OPCODE_15}"
    if any(answer.sections):
        yield "sections that are not empty"
    if answer.edns is not None:
        yield "OPT unasked"


def edns(answer):
    if answer.edns is None:
        yield "no OPT"
        return
    if answer.edns["version"] != 0:
        yield f"EDNS version {answer.edns['version']}"
    if answer.edns["flags"] & ~DO:
        yield f"EDNS flags {answer.edns['flags']:#06x}"
    if 100 in answer.options:
        yield "option 100 echoed"


def edns_soa(answer):
    yield from soa(answer)
    yield from edns(answer)


def bad_version(answer):
    yield from header_is(answer, BADVERS, False)
    yield from edns(answer)
    if answer.has(SOA):
        yield "SOA in the answer"


def any_size(answer):
    """An answer that may have to be cut: OPT must be in it nonetheless."""
    yield from (wrong for wrong in header_is(answer, NOERROR, True) if not answer.flags & TC or not wrong.startswith("AA"))
    yield from edns(answer)


def queries(zone):
    """Word, packet, function that says what is wrong; whether it goes over TCP."""
    yield "soa", query(zone, SOA), plain_soa, False
    yield "unknown type", query(zone, TYPE1000), nothing, False
    yield "CD", query(zone, SOA, flags=CD), plain_soa, False
    yield "AD", query(zone, SOA, flags=AD), lambda a: plain_soa(a, AD), False
    yield "reserved bit", query(zone, SOA, flags=Z), plain_soa, False
    yield "RD", query(zone, SOA, flags=RD), lambda a: plain_soa(a, RD), False
    yield "unknown opcode", header(counts=(0, 0, 0, 0), opcode=OPCODE_15), not_implemented, False
    yield "TCP", query(zone, SOA), plain_soa, True
    yield "EDNS", query(zone, SOA, edns=opt()), edns_soa, False
    yield "EDNS 1", query(zone, SOA, edns=opt(version=1)), bad_version, False
    yield "unknown option", query(zone, SOA, edns=opt(OPTION_100)), edns_soa, False
    yield "unknown flag", query(zone, SOA, edns=opt(flags=FLAG_40)), edns_soa, False
    yield "EDNS 1, unknown flag", query(zone, SOA, edns=opt(version=1, flags=FLAG_40)), bad_version, False
    yield "EDNS 1, unknown option", query(zone, SOA, edns=opt(OPTION_100, version=1)), bad_version, False
    yield "DO", query(zone, SOA, edns=opt(flags=DO)), edns_soa, False
    yield "EDNS 1, DO", query(zone, SOA, edns=opt(version=1, flags=DO)), bad_version, False
    yield "DNSKEY in 512 bytes", query(zone, DNSKEY, edns=opt(size=512, flags=DO)), any_size, False
    yield "options that are defined", query(zone, SOA, edns=opt(DEFINED)), edns_soa, False


def check(address, zone):
    """(word, what is wrong) of each query; an empty list is right."""
    for word, packet, wrong_with, by_tcp in queries(zone):
        received = over_tcp(address, packet) if by_tcp else over_udp(address, packet)
        if received is None:
            yield word, ["no answer"]
            continue
        try:
            answer = Answer(received)
        except Broken as error:
            yield word, [f"not a message: {error}"]
            continue
        found = list(wrong_with(answer))
        if answer.id != 0x1234:
            found.append("another id")
        if answer.question is not None and answer.question != packet[12:12 + len(answer.question)]:
            found.append("another question")
        yield word, found


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    results = list(check((sys.argv[1], int(sys.argv[2])), sys.argv[3]))
    for word, wrong in results:
        print(f"{word}: {', '.join(wrong) or 'ok'}")
    if any(wrong for _, wrong in results):
        sys.exit(1)
    print("ok")


if __name__ == "__main__":
    main()
