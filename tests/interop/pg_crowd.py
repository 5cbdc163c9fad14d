#!/usr/bin/python3
"""Opens COUNT sessions at a port, one after the other, all at once in flight, and tells when each was let in.

usage: pg_crowd.py PORT COUNT LONGEST_S

Lines: place in the order of opening, time of CLOCK_MONOTONIC when the server was ready for it; or `-` and what it was told.
"""
import selectors
import socket
import struct
import sys
import time

WORDS = b"user\0postgres\0database\0postgres\0\0"
STARTUP = struct.pack("!II", 8 + len(WORDS), 196608) + WORDS


def main(port, count, longest_s):
    waiting = selectors.DefaultSelector()
    heard = {}
    for place in range(int(count)):
        session = socket.create_connection(("127.0.0.1", int(port)), timeout=20)
        session.sendall(STARTUP)
        session.setblocking(False)
        waiting.register(session, selectors.EVENT_READ, place)
        heard[place] = b""
    end = time.monotonic() + float(longest_s)
    while waiting.get_map() and time.monotonic() < end:
        for key, _ in waiting.select(1):
            got = key.fileobj.recv(65536)
            heard[key.data] += got
            is_ready = heard[key.data].endswith(b"Z\0\0\0\5I")
            if is_ready or not got:
                print(key.data, f"{time.monotonic():.6f}" if is_ready else f"- {heard[key.data]!r}", flush=True)
                waiting.unregister(key.fileobj)
                key.fileobj.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
