#!/usr/bin/python3
"""Usage: traffic.py dns NAME PORT | http URL-PORT

Asks until standard input ends, then prints what came of it as JSON: how long nobody answered at most, what failed.
"""
import http.client
import json
import socket
import struct
import sys
import threading
import time

EVERY = 0.05  # seconds between questions
VISITORS = 8


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def ask(name, port, ended):
    """The longest time between two answers with an address."""
    answered, last, worst, lost = 0, time.monotonic(), 0.0, 0
    while not ended.is_set():
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(EVERY)
            try:
                client.connect(("127.0.0.1", port))
                client.send(question(name))
                reply = client.recv(512)
                good = reply[3] & 15 == 0 and struct.unpack(">H", reply[6:8])[0] > 0
            except OSError:
                good = False
        now = time.monotonic()
        if good:
            worst, last, answered = max(worst, now - last), now, answered + 1
        else:
            lost += 1
        time.sleep(max(0, EVERY - (now - began)))
    return {"answered": answered, "lost": lost, "gap_ms": round(1000 * max(worst, time.monotonic() - last))}


def visit(port, keeps, ended, told):
    """Asks for a page again and again, on a kept connection or on a new one each time."""
    connection = None
    while not ended.is_set():
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
            told.append("" if response.status == 200 else f"status {response.status}")
            closes = response.will_close
        except (OSError, http.client.HTTPException) as error:
            told.append(repr(error))
            closes = True
        if closes or not keeps:
            connection.close()
            connection = None
        time.sleep(0.01)


def visits(port, ended):
    told = []
    threads = [threading.Thread(target=visit, args=(port, i % 2 == 0, ended, told)) for i in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = [word for word in told if word]
    return {"served": len(told) - len(failed), "failed": len(failed), "first": failed[:3]}


def main():
    ended, result = threading.Event(), {}
    kind, rest = sys.argv[1], sys.argv[2:]
    work = {"dns": lambda: ask(rest[0], int(rest[1]), ended), "http": lambda: visits(int(rest[0]), ended)}[kind]
    worker = threading.Thread(target=lambda: result.update(work()))
    worker.start()
    sys.stdin.read()
    ended.set()
    worker.join()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
