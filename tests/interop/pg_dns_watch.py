#!/usr/bin/python3
"""Asks the agent of this host who is primary, a thousand times a second, and tells each change of the answer.

usage: pg_dns_watch.py NAME OUT

A line of OUT: TIME ADDRESS,ADDRESS  (seconds of CLOCK_MONOTONIC; "-": none, "?": no answer). SIGTERM ends it, with the
number of questions as the last line.
"""
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
from watch_dns import A, agent_here, ask, question, records  # noqa: E402

EVERY = 0.001


def addresses(packet):
    found = records(packet, A)
    return "?" if found is None else ",".join(sorted(".".join(map(str, data)) for data in found)) or "-"


def main(name, out):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    asked, last, count = question(name, A), None, 0
    sock = agent_here()
    with open(out, "w", buffering=1) as file:
        while not over:
            try:
                seen = addresses(ask(sock, asked))
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
