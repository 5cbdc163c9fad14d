"""A small web application behind rollcall-proxy, for tests of restarts: it says its name, writes down every POST, echoes
websockets, and ends as it is told to.

usage: proxy_webapp.py PORT NAME [--journal FILE] [--end polite|busy|close] [--slow SECONDS] [--backend PORT] [--fail PERCENT]

SIGTERM ends it as --end says, SIGUSR1 busy, SIGUSR2 close. polite: no new connection, running requests finish, websockets get a close frame. busy: new requests are answered
503 with Retry-After: 0 for a while first. close: idle connections are cut at once. --slow: one request at a time takes so
long. --idle: a connection without a request for so long is closed, as servers do. --backend: asks there (through a proxy) for each request, and crashes if nobody answers. --fail: so many answers are 500.
"""
import argparse
import asyncio
import base64
import hashlib
import os
import random
import signal

BUSY_SECONDS = 1.5  # how long `busy` refuses before it goes
LAST_SECONDS = 5  # then what still runs is cut
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class App:
    def __init__(self, words):
        self.words, self.connections, self.ending = words, set(), False
        self.journal = os.open(words.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if words.journal else -1
        self.turn, self.chance = asyncio.Lock(), random.Random()

    def note(self, identity):
        os.write(self.journal, identity + b" " + self.words.name.encode() + b"\n")

    async def ask_backend(self):
        """The status that the backend gave; nobody there is more than we can bear."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.words.backend)
            writer.write(b"GET /b HTTP/1.1\r\nHost: backend.test\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            status = int(answer.split(b" ", 2)[1])
        except (OSError, IndexError, ValueError, asyncio.TimeoutError):
            os._exit(1)
        if status in (502, 503, 504):
            os._exit(1)
        return status

    async def answer(self, method, target):
        """(status, body) of a request; `id` of a POST is written down before it is answered."""
        if target.startswith(b"/_health"):
            return (503, b"ending") if self.ending else (200, b"well")
        if self.ending and self.words.end == "busy":
            return 503, b"ending"
        if self.chance.random() * 100 < self.words.fail:
            return 500, b"failed"
        if self.words.slow:
            async with self.turn:
                await asyncio.sleep(self.words.slow)
        if self.words.backend and await self.ask_backend() != 200:
            return 500, b"the backend failed"
        if method == b"POST" and b"id=" in target:
            self.note(target.split(b"id=", 1)[1])
        return 200, self.words.name.encode()


class Connection(asyncio.Protocol):
    def __init__(self, app):
        self.app, self.data, self.transport, self.task, self.websocket, self.idle = app, b"", None, None, False, None

    def connection_made(self, transport):
        self.transport = transport
        self.app.connections.add(self)
        self.rest()

    def rest(self):
        if self.app.words.idle:
            self.idle = asyncio.get_running_loop().call_later(self.app.words.idle, self.transport.close)

    def connection_lost(self, _):
        self.app.connections.discard(self)

    def data_received(self, data):
        if self.idle is not None:
            self.idle.cancel()
        self.data += data
        self.go_on()

    def go_on(self):
        if self.websocket:
            self.echo()
            return
        if self.task is not None or b"\r\n\r\n" not in self.data:
            return
        head, rest = self.data.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        fields = {n.strip().lower(): v.strip() for n, _, v in (line.partition(b":") for line in lines[1:])}
        size = int(fields.get(b"content-length", 0))
        if len(rest) < size:
            return
        self.data = rest[size:]
        method, target, _ = lines[0].split(b" ")
        if fields.get(b"upgrade", b"").lower() == b"websocket" and not self.app.ending:
            self.upgrade(fields)
            return
        self.task = asyncio.ensure_future(self.serve(method, target))

    async def serve(self, method, target):
        status, body = await self.app.answer(method, target)
        last = self.app.ending
        self.transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s%s\r\n%s" % (
            status, len(body), b"Connection: close\r\n" if last else b"",
            b"Retry-After: 0\r\n" if status == 503 else b"", b"" if method == b"HEAD" else body))
        self.task = None
        if last:
            self.transport.close()
            return
        if not self.data:
            self.rest()
        self.go_on()

    def upgrade(self, fields):
        key = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
        self.transport.write(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n")
        self.websocket = True
        self.echo()

    def echo(self):
        """Short masked frames (RFC 6455 section 5.2) come back without a mask; a close frame ends."""
        while len(self.data) >= 6 and len(self.data) >= 6 + (self.data[1] & 127):
            size, mask = self.data[1] & 127, self.data[2:6]
            text = bytes(b ^ mask[i % 4] for i, b in enumerate(self.data[6:6 + size]))
            self.transport.write(bytes([self.data[0], size]) + text)
            closing = self.data[0] & 15 == 8
            self.data = self.data[6 + size:]
            if closing:
                self.transport.close()
                return

    def end(self):
        """As the application ends."""
        if self.websocket:
            self.transport.write(b"\x88\x02\x03\xe9")  # 1001: going away
        elif self.task is None and not self.data:
            self.transport.close()


async def end(app, server, how):
    app.ending, app.words.end = True, how
    loop = asyncio.get_running_loop()
    if app.words.end == "busy":
        await asyncio.sleep(BUSY_SECONDS)
    server.close()
    for connection in list(app.connections):
        connection.end()
    last = loop.time() + LAST_SECONDS
    while app.connections and loop.time() < last:
        await asyncio.sleep(0.01)
    os._exit(0)


async def main():
    words = argparse.ArgumentParser()
    words.add_argument("port", type=int)
    words.add_argument("name")
    words.add_argument("--journal")
    words.add_argument("--end", choices=("polite", "busy", "close"), default="polite")
    words.add_argument("--slow", type=float, default=0)
    words.add_argument("--backend", type=int, default=0)
    words.add_argument("--fail", type=float, default=0)
    words.add_argument("--idle", type=float, default=0)
    app, loop = App(words.parse_args()), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(app), "127.0.0.1", app.words.port, backlog=512)
    for number, how in ((signal.SIGTERM, app.words.end), (signal.SIGUSR1, "busy"), (signal.SIGUSR2, "close")):
        loop.add_signal_handler(number, lambda how=how: asyncio.ensure_future(end(app, server, how)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
