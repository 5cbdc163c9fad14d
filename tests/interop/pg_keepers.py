"""Stand-ins for what rollcall-proxy follows: an agent that says how a PostgreSQL cluster stands.

`Keepers.say` changes the answer of GET /v1/postgres/<cluster> and wakes who waits, `cut` and `mend` take the
store away and bring it back, so that a test decides what is known when.
"""
import contextlib
import http.server
import json
import threading
import urllib.parse


class Keepers:
    def __init__(self, cluster="main", ttl_ms=3000):
        self.cluster, self.ttl_ms = cluster, ttl_ms
        self.index, self.answer, self.is_cut, self.asked = 1, None, False, 0
        self.changed = threading.Condition()
        keepers = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, index, body = keepers.wait(self.path)
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
        known, limit = int(query["index"][0]), int(query["wait"][0].removesuffix("ms")) / 1000
        with self.changed:
            self.asked += 1
            self.changed.wait_for(lambda: self.index > known or self.is_cut, timeout=limit)
            if self.is_cut:
                return 500, self.index, "No cluster leader"
            if parts.path != "/v1/postgres/" + self.cluster or self.answer is None:
                return 404, self.index, "No such cluster"
            return 200, self.index, self.answer

    def _tell(self, **fields):
        with self.changed:
            for name, value in fields.items():
                setattr(self, name, value)
            self.index += 1
            self.changed.notify_all()

    def say(self, term, primary, *members, writable=True):
        """say(7, pg1, pg1, pg2, (pg3, {"ReadOk": False})): servers have .name and .port; primary None: nobody."""
        rows = []
        for member in members:
            server, more = member if isinstance(member, tuple) else (member, {})
            holds = server is primary
            rows.append({"Node": server.name, "Address": "127.0.0.1", "Port": server.port, "State": "running",
                         "Role": "primary" if holds else "standby", "ReadOk": not holds, "LagBytes": 0, "LagMs": 0,
                         **more})
        holder = primary and {"Node": primary.name, "Address": "127.0.0.1", "Port": primary.port,
                              "Writable": writable, "Since": 1}
        self._tell(answer={"Cluster": self.cluster, "Term": term, "Primary": holder,
                           "TTLms": self.ttl_ms if holder else 0, "Mode": "sync", "Paused": False, "Members": rows,
                           "State": {"Term": term}, "History": []})

    def cut(self):
        self._tell(is_cut=True)

    def mend(self):
        self._tell(is_cut=False)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
