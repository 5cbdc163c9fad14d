"""Asks the agent of this host for a SRV name again and again; tells each change of the answer.

QUESTION SECONDS; one JSON line a change: [monotonic seconds, [targets]].
"""
import json
import random
import socket
import struct
import sys
import time

EVERY = 0.005


def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split("."))
    return labels + b"\0" + struct.pack(">HH", 33, 1)


def skip_name(packet, at):
    while packet[at]:
        if packet[at] & 0xC0:
            return at + 2
        at += 1 + packet[at]
    return at + 1


def targets(packet):
    """First labels of the SRV targets in an answer; None for an error other than NXDOMAIN."""
    flags, _, answers = struct.unpack(">HHH", packet[2:8])
    if flags & 0xF not in (0, 3):
        return None
    at = skip_name(packet, 12) + 4
    found = []
    for _ in range(answers):
        at = skip_name(packet, at)
        kind, _, _, size = struct.unpack(">HHIH", packet[at:at + 10])
        at += 10
        if kind == 33:
            label = packet[at + 6]
            found.append(packet[at + 7:at + 7 + label].decode())
        at += size
    return sorted(found)


def main(name, seconds):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", 8600))
    sock.settimeout(1)
    asked = question(name)
    last = "nothing yet"
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        number = random.randrange(65536)
        try:
            sock.send(struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + asked)
            packet = sock.recv(4096)
            while struct.unpack(">H", packet[:2])[0] != number:
                packet = sock.recv(4096)
            seen = targets(packet)
        except OSError:
            seen = None
        if seen != last:
            last = seen
            print(json.dumps([time.monotonic(), seen]), flush=True)
        time.sleep(EVERY)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
