#!/usr/bin/python3
"""Asks the agent of this host who is primary, a thousand times a second, and tells each change of the answer.

usage: pg_dns_watch.py NAME OUT

A line of OUT: TIME ADDRESS,ADDRESS  (seconds of CLOCK_MONOTONIC; "-": none, "?": no answer). SIGTERM ends it, with the
number of questions as the last line.
"""
import random
import signal
import socket
import struct
import sys
import time

EVERY = 0.001


def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split("."))
    return labels + b"\0" + struct.pack(">HH", 1, 1)


def skip_name(packet, at):
    while packet[at]:
        if packet[at] & 0xC0:
            return at + 2
        at += 1 + packet[at]
    return at + 1


def addresses(packet):
    flags, _, answers = struct.unpack(">HHH", packet[2:8])
    if flags & 0xF not in (0, 3):
        return "?"
    at, found = skip_name(packet, 12) + 4, []
    for _ in range(answers):
        at = skip_name(packet, at)
        kind, _, _, size = struct.unpack(">HHIH", packet[at:at + 10])
        if kind == 1:
            found.append(".".join(map(str, packet[at + 10:at + 14])))
        at += 10 + size
    return ",".join(sorted(found)) or "-"


def main(name, out):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    asked, last, count = question(name), None, 0
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", 8600))
    sock.settimeout(1)
    with open(out, "w", buffering=1) as file:
        while not over:
            number = random.randrange(65536)
            try:
                sock.send(struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + asked)
                packet = sock.recv(4096)
                while struct.unpack(">H", packet[:2])[0] != number:
                    packet = sock.recv(4096)
                seen = addresses(packet)
            except OSError:
                seen = "?"
                time.sleep(0.01)
            count += 1
            if seen != last:
                last = seen
                file.write(f"{time.monotonic():.6f} {seen}\n")
            time.sleep(EVERY)
        file.write(f"{time.monotonic():.6f} asked {count}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
