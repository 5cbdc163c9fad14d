"""A client of HTTP/2 that does what it is told, right or wrong: frames by hyper-h2 and hyperframe."""
import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from patience import patient

CALM = 11  # ENHANCE_YOUR_CALM
GONE = "gone"


class Answer:
    """What has come for one stream."""

    def __init__(self):
        self.status, self.fields, self.body = None, [], b""
        self.interim, self.ended, self.reset = [], False, None

    def field(self, name):
        return [value for key, value in self.fields if key == name]

    def is_over(self):
        return self.ended or self.reset is not None


class H2Client:
    def __init__(self, port, tls=False, window=None, settings=None):
        sock = socket.create_connection(("127.0.0.1", port), timeout=patient(20))
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            sock = context.wrap_socket(sock, server_hostname="app.test")
            assert sock.selected_alpn_protocol() == "h2"
        self.sock = sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False, validate_inbound_headers=True))
        if settings:
            self.h2.local_settings.update(settings)
        self.answers, self.goaway, self.closed, self.pings = {}, None, False, 0
        self.rest, self.judges = b"", True  # judges: not after bytes that it does not know of
        self.auto = True  # opens the windows again for what it reads
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.raw(data)

    def raw(self, data):
        """Bytes as they are; False when nobody takes them any more."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            self.closed = True
            return False

    @staticmethod
    def head(method="GET", path="/", more=(), authority="app.test", scheme="http"):
        return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]

    def start(self, fields, end=True):
        """Sends a head; the stream's number."""
        number = self.h2.get_next_available_stream_id()
        self.answers[number] = Answer()
        self.h2.send_headers(number, fields, end_stream=end)
        self.flush()
        return number

    def body(self, number, data, end=True):
        """As the windows allow."""
        while True:
            room = min(self.h2.local_flow_control_window(number), 16384)
            piece, data = data[:room], data[room:]
            if piece or (end and not data):
                self.h2.send_data(number, piece, end_stream=end and not data)
                self.flush()
            if not data:
                return
            if self.answers[number].is_over() or (not room and not self.read_once()):
                return

    def read_once(self, timeout=None):
        """What comes next; False when nothing does any more, or nothing in time."""
        self.sock.settimeout(patient(20) if timeout is None else timeout)
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            return False
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.rest += data
        while len(self.rest) >= 9:
            size = 9 + int.from_bytes(self.rest[:3], "big")
            if len(self.rest) < size:
                break
            frame, self.rest = self.rest[:size], self.rest[size:]
            self.take_frame(frame)
        self.flush()
        return True

    def take_frame(self, frame):
        if frame[3] == 7:  # GOAWAY: hyper-h2 would hear nothing after it
            self.goaway = int.from_bytes(frame[13:17], "big")
            return
        try:
            for event in self.h2.receive_data(frame):
                self.take(event)
        except h2.exceptions.ProtocolError as problem:
            if self.judges:
                raise AssertionError("the proxy breaks the protocol: %r" % problem) from problem

    def take(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif answer is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            answer.fields = event.headers
            answer.status = int(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.interim.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.auto and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = event.error_code

    def until(self, true, within=20):
        """Reads until `true()`; False when that does not come."""
        end = time.monotonic() + patient(within)
        while not true():
            left = end - time.monotonic()
            if left <= 0 or not self.read_once(left):
                return true()
        return True

    def finish(self, number):
        assert self.until(self.answers[number].is_over), "no end of stream %d, goaway %s, closed %s" % (
            number, self.goaway, self.closed)
        return self.answers[number]

    def ask(self, fields, data=None):
        number = self.start(fields, end=data is None)
        if data is not None:
            self.body(number, data)
        return self.finish(number)

    def reset(self, number, code=8):
        self.h2.reset_stream(number, code)
        self.flush()

    def close(self):
        self.sock.close()
