"""Stand-ins for the agent that rollcall-proxy asks: what a test says is what the proxy hears, at once.

`Keepers` tells how a PostgreSQL cluster stands (GET /v1/postgres/<cluster>), `Catalog` which instances pass (GET
/v1/health/service/<name>). `say` changes the answer and wakes who waits; `cut` and `mend` take the store away and
bring it back.
"""
import contextlib
import http.server
import json
import threading
import urllib.parse


class Speaker:
    """Blocking queries as Consul answers them. `answer_to(path)` is (status, body); the lock is held."""

    def __init__(self):
        self.index, self.is_cut, self.asked = 1, False, 0
        self.changed = threading.Condition()
        speaker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, index, body = speaker.wait(self.path)
                body = json.dumps(body).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("X-Consul-Index", str(index))
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, path):
        parts = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(parts.query)
        wait = query["wait"][0]
        known, limit = int(query["index"][0]), 20 if not wait.endswith("ms") else int(wait.removesuffix("ms")) / 1000
        with self.changed:
            self.asked += 1
            self.changed.wait_for(lambda: self.index > known or self.is_cut, timeout=limit)
            if self.is_cut:
                return 500, self.index, "No cluster leader"
            status, body = self.answer_to(parts.path)
            return status, self.index, body

    def tell(self, **fields):
        with self.changed:
            for name, value in fields.items():
                setattr(self, name, value)
            self.index += 1
            self.changed.notify_all()

    def cut(self):
        self.tell(is_cut=True)

    def mend(self):
        self.tell(is_cut=False)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Keepers(Speaker):
    def __init__(self, cluster="main", ttl_ms=3000):
        self.cluster, self.ttl_ms, self.answer = cluster, ttl_ms, None
        super().__init__()

    def answer_to(self, path):
        if path != "/v1/postgres/" + self.cluster or self.answer is None:
            return 404, "No such cluster"
        return 200, self.answer

    def say(self, term, primary, *members, writable=True):
        """say(7, pg1, pg1, pg2, (pg3, {"ReadOk": False})): servers have .name and .port; primary None: nobody."""
        rows, where = [], lambda server: getattr(server, "address", "127.0.0.1")
        for member in members:
            server, more = member if isinstance(member, tuple) else (member, {})
            holds = server is primary
            rows.append({"Node": server.name, "Address": where(server), "Port": server.port, "State": "running",
                         "Role": "primary" if holds else "standby", "ReadOk": not holds, "LagBytes": 0, "LagMs": 0,
                         **more})
        holder = primary and {"Node": primary.name, "Address": where(primary), "Port": primary.port,
                              "Writable": writable, "Since": 1}
        self.tell(answer={"Cluster": self.cluster, "Term": term, "Primary": holder,
                          "TTLms": self.ttl_ms if holder else 0, "Mode": "sync", "Paused": False, "Members": rows,
                          "State": {"Term": term}, "History": []})


class Catalog(Speaker):
    entries = ()

    def answer_to(self, path):
        return 200, list(self.entries)

    def say(self, **roles):
        """say(pg1=(server, "primary"), ...): the passing instances and their tags."""
        self.tell(entries=[
            {"Node": {"Node": node, "Address": "127.0.0.1"},
             "Service": {"ID": "postgres", "Service": "postgres", "Address": "", "Port": server.port,
                         "Tags": [tag] if tag else [], "Weights": {"Passing": 1, "Warning": 1}}}
            for node, (server, tag) in roles.items()])
