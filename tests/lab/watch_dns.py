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
A, SRV = 1, 33


def question(name, kind=SRV):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split("."))
    return labels + b"\0" + struct.pack(">HH", kind, 1)


def skip_name(packet, at):
    while packet[at]:
        if packet[at] & 0xC0:
            return at + 2
        at += 1 + packet[at]
    return at + 1


def records(packet, wanted):
    """The data of an answer's records of a kind; None for an error other than NXDOMAIN."""
    flags, _, answers = struct.unpack(">HHH", packet[2:8])
    if flags & 0xF not in (0, 3):
        return None
    at, found = skip_name(packet, 12) + 4, []
    for _ in range(answers):
        at = skip_name(packet, at)
        kind, _, _, size = struct.unpack(">HHIH", packet[at:at + 10])
        at += 10 + size
        if kind == wanted:
            found.append(packet[at - size:at])
    return found


def targets(packet):
    """First labels of the SRV targets in an answer; None for an error other than NXDOMAIN."""
    found = records(packet, SRV)
    return None if found is None else sorted(data[7:7 + data[6]].decode() for data in found)


def agent_here():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", 8600))
    sock.settimeout(1)
    return sock


def ask(sock, asked):
    """The packet that answers; OSError when none does."""
    number = random.randrange(65536)
    sock.send(struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + asked)
    packet = sock.recv(4096)
    while struct.unpack(">H", packet[:2])[0] != number:
        packet = sock.recv(4096)
    return packet


def main(name, seconds):
    sock = agent_here()
    asked = question(name)
    last = "nothing yet"
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            seen = targets(ask(sock, asked))
        except OSError:
            seen = None
        if seen != last:
            last = seen
            print(json.dumps([time.monotonic(), seen]), flush=True)
        time.sleep(EVERY)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
