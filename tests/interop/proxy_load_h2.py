"""A client of rollcall-proxy that speaks HTTP/2, several streams at a time, and heeds GOAWAY (RFC 9113 section 6.8)."""
import asyncio
import os
import random
import time

import h2.config
import h2.connection
import h2.events
from h2.connection import ConnectionInputs, ConnectionState, H2ConnectionStateMachine
from patience import patient

# The library wants to hear nothing after a GOAWAY; but what runs comes to its end.
H2ConnectionStateMachine._transitions[(ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY)] = (None, ConnectionState.CLIENT_OPEN)
NOT_DONE = 7  # REFUSED_STREAM: may be asked again elsewhere (RFC 9113 section 8.7)


class Again(Exception):
    """What was asked was not looked at."""


class Link(asyncio.Protocol):
    def __init__(self, scheme):
        self.scheme = scheme
        self.frames = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.transport, self.waiting, self.statuses, self.leaving = None, {}, {}, False

    def connection_made(self, transport):
        self.transport = transport
        self.frames.initiate_connection()
        transport.write(self.frames.data_to_send())

    def connection_lost(self, problem):
        self.leaving = True
        self.fail(list(self.waiting), problem or EOFError("the connection ended"))

    def fail(self, streams, problem):
        for stream in streams:
            answer = self.waiting.pop(stream, None)
            if answer is not None and not answer.done():
                answer.set_exception(problem)

    def data_received(self, data):
        try:
            events = self.frames.receive_data(data)
        except Exception as problem:  # noqa: BLE001: of the library's many
            self.fail(list(self.waiting), ValueError("%r" % problem))
            self.transport.abort()
            return
        for event in events:
            self.take(event)
        self.transport.write(self.frames.data_to_send())

    def take(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.statuses[event.stream_id] = int(dict(event.headers)[b":status"] if b":status" in dict(event.headers)
                                                 else dict(event.headers)[":status"])
        elif isinstance(event, h2.events.DataReceived):
            self.frames.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer = self.waiting.pop(event.stream_id, None)
            if answer is not None and not answer.done():
                answer.set_result(self.statuses.pop(event.stream_id, 0))
        elif isinstance(event, h2.events.StreamReset):
            self.fail([event.stream_id], Again() if event.error_code == NOT_DONE else ValueError("reset %s" % event.error_code))
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.leaving = True
            self.fail([s for s in self.waiting if s > event.last_stream_id], Again())

    def ask(self, method, path, body=b""):
        """A future of the status."""
        stream = self.frames.get_next_available_stream_id()
        fields = [(":method", method), (":path", path), (":scheme", self.scheme), (":authority", "app.test")]
        if body:
            fields.append(("content-length", str(len(body))))
        self.frames.send_headers(stream, fields, end_stream=not body)
        if body:
            self.frames.send_data(stream, body, end_stream=True)
        answer = asyncio.get_running_loop().create_future()
        self.waiting[stream] = answer
        self.transport.write(self.frames.data_to_send())
        return answer


class User:
    """One connection at a time, shared by some who ask."""

    def __init__(self, tally, port, tls=None):
        self.tally, self.port, self.tls, self.link, self.opening = tally, port, tls, None, asyncio.Lock()

    async def open(self):
        async with self.opening:
            if self.link is None or self.link.leaving:
                self.tally.reconnects += self.link is not None
                _, self.link = await asyncio.get_running_loop().create_connection(
                    lambda: Link("https" if self.tls else "http"), "127.0.0.1", self.port, ssl=self.tls)
            return self.link

    async def request(self, kind):
        began, identity = time.monotonic(), os.urandom(8).hex()
        try:
            for _ in range(5):
                try:
                    link = await self.open()
                    if kind == "post":
                        pending = link.ask("POST", "/count?id=" + identity, b"x" * random.choice((1, 100, 5000)))
                    else:
                        pending = link.ask("GET", "/")
                    status = await asyncio.wait_for(pending, patient(40))
                    break
                except Again:
                    continue
            else:
                raise ValueError("refused again and again")
            if kind == "post" and status == 200:
                self.tally.acknowledged.add(identity.encode())
            self.tally.note("h2 " + kind, began, None if status == 200 else "status %d" % status)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as problem:
            self.tally.note("h2 " + kind, began, repr(problem))

    async def visit(self, every, end):
        due = time.monotonic() + random.random() * every
        while not end.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + every, time.monotonic() - 1)
            await self.request(random.choice(("get", "get", "post")))


def begin(tally, port, rate, end, users=3, streams=4, tls=None):
    """The tasks of a load of `rate` requests a second."""
    made = [User(tally, port, tls) for _ in range(users)]
    return [asyncio.ensure_future(user.visit(users * streams / rate, end)) for user in made for _ in range(streams)]
