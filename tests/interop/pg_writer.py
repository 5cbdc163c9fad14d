#!/usr/bin/python3
"""Writes rows into PostgreSQL, one after the other, and notes what it was told of each.

usage: pg_writer.py DSN OUT [CLIENTS] [EVERY_MS] [GIVE_UP_S] [PAD]

Lines of OUT, times in seconds of CLOCK_MONOTONIC:
  ack TIME ID SERVER SENT     the row is written, said the server of that address
  warn TIME ID SERVER SENT    the server said so, and that a standby may not have it
  err TIME ID WORDS           it may be written or not; the next row goes through a new session
A row's id is never used again. A session that is silent for GIVE_UP_S is given up. SIGTERM ends it.
`Record` reads such a file and judges it; make_table() makes what is written to.
"""
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

TABLE = "CREATE TABLE IF NOT EXISTS ledger (id bigint PRIMARY KEY, pad text)"
CLIENT_IDS = 10**12


def mono():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Client:
    def __init__(self, dsn, number, out, every_s, give_up_s, pad):
        self.dsn, self.out, self.every_s, self.give_up_s, self.pad = dsn, out, every_s, give_up_s, "x" * pad
        self.next_id = CLIENT_IDS * number + int(time.time() * 1000) % 10**7 * 10**5
        self.session, self.busy = None, None

    def _open(self):
        import psycopg2
        self.session = psycopg2.connect(self.dsn)
        self.session.autocommit = True

    def _close(self):
        session, self.session = self.session, None
        if session is not None:
            try:
                session.close()
            except Exception:  # it is gone, whatever it says
                pass

    def _row(self):
        self.next_id += 1
        if self.session is None:
            self._open()
        sent = mono()
        self.busy = (sent, self.session.fileno())
        del self.session.notices[:]
        with self.session.cursor() as cursor:
            cursor.execute("INSERT INTO ledger VALUES (%s, %s) RETURNING host(inet_server_addr())", (self.next_id, self.pad))
            server = cursor.fetchone()[0]
        self.busy = None
        what = "warn" if any("replicated" in notice for notice in self.session.notices) else "ack"
        self.out.write(f"{what} {mono():.6f} {self.next_id} {server} {sent:.6f}\n")

    def run(self, stop):
        import psycopg2
        due = mono()
        while not stop.is_set():
            try:
                self._row()
            except (psycopg2.Error, OSError, ValueError) as error:
                self.busy = None
                self.out.write(f"err {mono():.6f} {self.next_id} {' '.join(str(error).split())[:200]}\n")
                self._close()
                time.sleep(0.005)
            due = max(due + self.every_s, mono() - 0.1)
            stop.wait(max(0.0, due - mono()))
        self._close()

    def look(self):
        """Ends a session that has been silent for too long; from another thread."""
        busy = self.busy
        if busy is not None and mono() - busy[0] > self.give_up_s:
            self.busy = None
            try:
                with socket.socket(fileno=os.dup(busy[1])) as silent:
                    silent.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def main(dsn, out, clients="1", every_ms="5", give_up_s="30", pad="0"):
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with open(out, "w", buffering=1) as file:
        made = [Client(dsn, n + 1, file, float(every_ms) / 1000, float(give_up_s), int(pad)) for n in range(int(clients))]
        threads = [threading.Thread(target=client.run, args=(stop,), daemon=True) for client in made]
        for thread in threads:
            thread.start()
        while not stop.wait(0.1):
            for client in made:
                client.look()
        for thread in threads:
            thread.join(float(give_up_s))


class Record:
    """What clients were told."""

    def __init__(self, *paths):
        self.acks, self.warned, self.errors = [], [], []
        for path in paths:
            for line in Path(path).read_text().splitlines():
                words = line.split(None, 3)
                if words[0] == "err" and len(words) > 3:
                    self.errors.append((float(words[1]), int(words[2]), words[3]))
                elif words[0] in ("ack", "warn") and len(words) > 3 and len(words[3].split()) == 2:
                    server, sent = words[3].split()
                    (self.acks if words[0] == "ack" else self.warned).append((float(words[1]), int(words[2]), server, float(sent)))
        self.acks.sort()

    def lost(self, ids):
        """Rows that were acknowledged and are not among `ids`."""
        there = set(ids)
        return [ack for ack in self.acks if ack[1] not in there]

    def gap(self, since, until=float("inf")):
        """The longest time in which no row was acknowledged, of those that ended after `since`; seconds."""
        times = [ack[0] for ack in self.acks if ack[0] < until]
        pairs = [(b - a) for a, b in zip(times, times[1:]) if b > since]
        return max(pairs, default=float("inf"))

    def after_the_next(self, changes=1):
        """Rows that a server acknowledged though they were sent after another, later one had acknowledged its first; as often as
        the primary was changed from node to node that is as it should be."""
        late = []
        holder = None
        for at, row, server, sent in self.acks:
            if holder is None:
                holder = (server, at)
            elif server != holder[0] and sent > holder[1]:
                late.append((at, row, server, sent, holder))
                holder = (server, at)
        return late[changes:]


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
