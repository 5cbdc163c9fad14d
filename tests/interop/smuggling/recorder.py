"""An instance that writes down what reaches it, and a client that says what came of it.

The recorder reads as HTTP/1.1 is written, and no further than it has to: a head ends at CRLF CRLF, a body by the fields
that say so. What it could not finish stays in `rest`, so that a test sees every byte.
"""
import contextlib
import re
import socket
import threading

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Message:
    """One request: its head as it came, how its end was found, its body."""

    def __init__(self, head):
        self.head, self.framing, self.body = head, "none", b""
        lines = head[:-4].split(b"\r\n")
        self.line = lines[0]
        self.fields = [(n.strip().lower(), v.strip()) for n, _, v in (line.partition(b":") for line in lines[1:])]

    def values(self, name):
        return [v for n, v in self.fields if n == name]

    def seen(self):
        words = self.line.split(b" ")
        return "%s|%s|%s" % (b" ".join(words[:-1]).decode("latin-1"), self.framing, self.body.decode("latin-1"))


def complaints(raw_head):
    """Whatever leaves this head open to two readings; empty for a head that nobody can misread."""
    found = []
    lines = raw_head[:-4].split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        found.append("bare CR or LF")
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", raw_head):
        found.append("control byte")
    if not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP/1\.[01]", lines[0]):
        found.append("request line")
    names = []
    for line in lines[1:]:
        name, colon, _ = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            found.append("folded line")
        elif not colon or not TOKEN.match(name):
            found.append("field name")
        names.append(name.lower())
    values = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        values.setdefault(name.strip().lower().replace(b"_", b"-"), []).append(value.strip())
    if re.search(rb"(?im)^content-length:(?! (0|[1-9][0-9]{0,18})\r$)", raw_head):
        found.append("CL")
    lengths, codings = values.get(b"content-length", []), values.get(b"transfer-encoding", [])
    if lengths and codings:
        found.append("CL and TE")
    if len(lengths) > 1:
        found.append("CL")
    if len(codings) > 1 or any(v.lower() != b"chunked" for v in codings):
        found.append("TE")
    if len(values.get(b"host", [])) != 1:
        found.append("Host")
    return sorted(set(found))


class Recorder:
    """An instance on a port of its own. `answer(message)` gives the bytes to send and whether to close then."""

    def __init__(self, answer=None):
        self.answer = answer or self.plain
        self.lock, self.messages, self.rests, self.raws, self.connections = threading.Lock(), [], [], [], 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def plain(message):
        body = b"" if message.line.startswith(b"HEAD ") else b"seen"
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body, False

    def forget(self):
        with self.lock:
            self.messages, self.rests, self.raws = [], [], []

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        buffer = bytearray()
        place = [buffer]
        with self.lock:
            self.rests.append(place)
        with contextlib.suppress(OSError, EOFError, ValueError):
            while True:
                message = self.read(sock, buffer, place)
                with self.lock:
                    self.messages.append(message)
                data, close = self.answer(message)
                sock.sendall(data)
                if close:
                    break
        sock.close()

    def more(self, sock, buffer):
        data = sock.recv(65536)
        if not data:
            raise EOFError
        buffer += data

    def upto(self, sock, buffer, mark):
        while mark not in buffer:
            self.more(sock, buffer)
        size = buffer.index(mark) + len(mark)
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken

    def exactly(self, sock, buffer, size):
        while len(buffer) < size:
            self.more(sock, buffer)
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken

    def read(self, sock, buffer, place):
        while not buffer:
            self.more(sock, buffer)
        with self.lock:
            if place not in self.rests:
                self.rests.append(place)
        message = Message(self.upto(sock, buffer, b"\r\n\r\n"))
        with self.lock:
            self.raws.append(message.head)
        if message.values(b"transfer-encoding"):
            message.framing = "chunked"
            while True:
                size = int(self.upto(sock, buffer, b"\r\n").split(b";")[0], 16)
                if size == 0:
                    while self.upto(sock, buffer, b"\r\n") != b"\r\n":
                        pass
                    break
                message.body += self.exactly(sock, buffer, size)
                self.exactly(sock, buffer, 2)
        else:
            size = int((message.values(b"content-length") or [b"0"])[0])
            message.framing = "length" if size > 0 else "none"
            message.body = self.exactly(sock, buffer, size)
        return message

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Asker:
    """A client that sends any bytes and reads answers one by one."""

    def __init__(self, port, timeout):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.rest, self.ended = b"", False

    def send(self, data):
        with contextlib.suppress(OSError):  # an early answer may close what we still send to
            self.sock.sendall(data)

    def more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
            raise EOFError
        self.rest += data

    def response(self, method="GET"):
        """(status, body, whole) of the next final answer; None at the end. Interim ones are passed over."""
        while True:
            try:
                while b"\r\n\r\n" not in self.rest:
                    self.more()
            except EOFError:
                return None
            head, _, self.rest = self.rest.partition(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status >= 200 or status == 101:
                break
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        if method == "HEAD" or status in (204, 304, 101):
            return status, b"", True
        body = b""
        try:
            if b"transfer-encoding" in fields:
                while True:
                    while b"\r\n" not in self.rest:
                        self.more()
                    line, _, self.rest = self.rest.partition(b"\r\n")
                    size = int(line, 16)
                    while len(self.rest) < size + 2:
                        body += b""
                        self.more()
                    body, self.rest = body + self.rest[:size], self.rest[size + 2:]
                    if size == 0:
                        return status, body, True
            if b"content-length" in fields:
                size = int(fields[b"content-length"])
                while len(self.rest) < size:
                    self.more()
                body, self.rest = self.rest[:size], self.rest[size:]
                return status, body, True
            while True:
                self.more()
        except EOFError:
            whole = b"transfer-encoding" not in fields and b"content-length" not in fields
            return status, body + self.rest, whole

    def is_closed(self):
        try:
            while not self.rest:
                self.more()
        except EOFError:
            return True
        except (socket.timeout, TimeoutError):
            return False
        return False

    def close(self):
        self.sock.close()
