"""Clients of rollcall-proxy who tell of every failure: kept and new connections, bodies, websockets, TLS, TCP sessions.

A connection that is found closed before anything was sent on it is opened anew, as every client does. All else that is not
the expected answer is a failure, also an end without an answer just after a request was sent.
"""
import asyncio
import collections
import os
import random
import time

from patience import patient

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
SHOWN = 40  # failures that are remembered in words


class Tally:
    def __init__(self):
        self.done, self.failed, self.failures = collections.Counter(), collections.Counter(), []
        self.acknowledged, self.tried, self.began = set(), set(), time.monotonic()
        self.slowest, self.reconnects = 0.0, 0

    def note(self, kind, began, problem=None):
        self.slowest = max(self.slowest, time.monotonic() - began)
        if problem is None:
            self.done[kind] += 1
            return
        self.failed[kind] += 1
        if len(self.failures) < SHOWN:
            self.failures.append("%.2f %s: %s" % (time.monotonic() - self.began, kind, problem))

    def total(self):
        return sum(self.done.values())

    def rate(self):
        return self.total() / (time.monotonic() - self.began)

    def __str__(self):
        return "%d requests, %.0f/s (%s), slowest %.2f s, %d reconnects, failed: %s %s" % (
            self.total(), self.rate(), ", ".join("%s %d" % each for each in sorted(self.done.items())), self.slowest,
            self.reconnects, dict(self.failed) or "none", "; ".join(self.failures))


def duplicates(tally, journals):
    """(ids written more than once, acknowledged ids that nobody wrote down)."""
    seen = collections.Counter()
    for journal in journals:
        if journal.exists():
            seen.update(line.split(b" ")[0] for line in journal.read_bytes().splitlines())
    return [i for i, count in seen.items() if count > 1], [i for i in tally.acknowledged if seen[i] == 0]


class User:
    """One connection that is kept as long as the proxy keeps it."""

    def __init__(self, tally, port, host="app.test", tls=None):
        self.tally, self.port, self.tls = tally, port, tls
        self.host, self.reader, self.writer, self.used = host.encode(), None, None, 0

    async def open(self):
        if self.writer is not None and not self.reader.at_eof():
            return
        if self.writer is not None:
            self.tally.reconnects += 1
            self.close()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, limit=1 << 18)
        self.used = 0

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.reader = self.writer = None

    async def response(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().partition(b":")[::2] for line in head.split(b"\r\n")[1:-2])
        body = await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        if b"close" in fields.get(b"connection", b""):
            self.close()
        return int(head.split(b" ", 2)[1]), body

    async def ask(self, method, target, body=b"", last=False):
        """(status, body)."""
        await self.open()
        self.used += 1
        self.writer.write(b"%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n" % (
            method, target, self.host, b"Content-Length: %d\r\n" % len(body) if method == b"POST" else b"",
            b"Connection: close\r\n" if last else b"") + body)
        return await self.response()


async def request(user, kind, target=b"/"):
    """One request, tallied."""
    began, identity, used = time.monotonic(), b"", 0
    if kind == "new":
        user.close()
    try:
        if kind == "post":
            identity = os.urandom(8).hex().encode()
            user.tally.tried.add(identity)
            size = random.choice((0, 100, 3000, 40000))
            pending = user.ask(b"POST", b"/count?id=" + identity, b"x" * size)
        else:
            pending = user.ask(b"GET", target, last=kind == "new")
        status, _ = await asyncio.wait_for(pending, patient(40))
        if identity and status == 200:
            user.tally.acknowledged.add(identity)
        busy = kind == "tcp" and status == 503  # the application's own: it ends, and nobody between us reads HTTP
        user.tally.note(kind, began, None if status == 200 or busy else "status %d" % status)
    except (OSError, EOFError, asyncio.TimeoutError, ValueError, asyncio.LimitOverrunError) as problem:
        used = user.used
        user.close()
        cut = isinstance(problem, ConnectionResetError) or isinstance(problem, asyncio.IncompleteReadError) and not problem.partial
        if kind == "tcp" and used > 1 and cut:
            return  # an application that ends has closed the session in that moment: nobody between us could ask anew
        user.tally.note(kind, began, "%r at its request number %d, after %.3f s" % (problem, used, time.monotonic() - began))


async def visitor(user, every, kinds, end, target=b"/"):
    """Asks in a rhythm, whatever the answers take; `end` is an asyncio.Event."""
    due = time.monotonic() + random.random() * every
    while not end.is_set():
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due = max(due + every, time.monotonic() - 1)
        await request(user, random.choice(kinds), target)
    user.close()


def frame(text, opcode=1):
    return bytes([0x80 | opcode, 0x80 | len(text), 0, 0, 0, 0]) + text


async def websocket(tally, port, every, end, tls=None):
    """Says something in a rhythm and hears it again; a close frame is answered, and a new one is opened."""
    while not end.is_set():
        began, phase = time.monotonic(), "handshake"
        writer, frames, ears = None, asyncio.Queue(), None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(b"GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + KEY + b"\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), patient(40))
            if not head.startswith(b"HTTP/1.1 101"):
                raise ValueError(head[:40])
            tally.note("ws", began)
            phase, closing = "echo", False
            ears = asyncio.ensure_future(listen(reader, frames))
            while not closing and not end.is_set():
                began = time.monotonic()
                text = b"%.6f" % began
                writer.write(frame(text))
                closing = await heard(frames, text)
                if not closing:
                    tally.note("echo", began)
                    closing = await quiet(frames, every)
            writer.write(frame(b"\x03\xe8", 8))
            await asyncio.wait_for(ears, patient(40))
        except (OSError, EOFError, asyncio.TimeoutError, ValueError) as problem:
            tally.note("ws", began, "%s: %r" % (phase, problem))
            await asyncio.sleep(0.05)
        finally:
            if writer is not None:
                writer.close()


async def listen(reader, frames):
    """Frames as they come; why there are no more is the last."""
    try:
        while True:
            head = await reader.readexactly(2)
            frames.put_nowait((head[0] & 15, await reader.readexactly(head[1] & 127)))
    except (OSError, EOFError) as problem:
        frames.put_nowait(problem)


async def one_frame(frames, seconds):
    said = await asyncio.wait_for(frames.get(), seconds)
    if isinstance(said, Exception):
        raise said
    return said


async def heard(frames, text):
    """Waits for the echo. True if the other side closes instead, in order."""
    opcode, said = await one_frame(frames, patient(40))
    if opcode != 8 and said != text:
        raise ValueError("another echo")
    return opcode == 8


async def quiet(frames, seconds):
    """Waits. True if a close frame comes meanwhile."""
    try:
        opcode, _ = await one_frame(frames, seconds)
    except asyncio.TimeoutError:
        return False
    if opcode != 8:
        raise ValueError("a frame that nobody asked for")
    return True


async def session(tally, port, every, end):
    """TCP sessions of a few requests each."""
    while not end.is_set():
        user = User(tally, port)
        for _ in range(5):
            if not end.is_set():
                await asyncio.sleep(every)
                await request(user, "tcp")
        user.close()


KINDS = ("get", "get", "get", "post", "post", "new")


def begin(tally, port, rate, end, users=40, websockets=10, tls=None):
    """The tasks of a mixed load of `rate` requests a second."""
    made = [visitor(User(tally, port, tls=tls), users / rate, KINDS, end) for _ in range(users)]
    made += [websocket(tally, port, 0.5, end, tls) for _ in range(websockets)]
    return [asyncio.ensure_future(each) for each in made]
