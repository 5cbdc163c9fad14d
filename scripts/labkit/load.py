"""A steady stream of requests on a host of the lab, and how each of them ended.

Run as a program on the host: SECONDS RATE URL; prints one JSON object at the end, which SIGINT makes come sooner.
"""
import http.client
import json
import signal
import sys
import threading
import time
from urllib.parse import urlsplit


class Load:
    """`rate` requests a second, whatever the answers do: a slow answer does not slow the stream."""

    WORKERS = 24

    def __init__(self, url, rate):
        self.parts = urlsplit(url)
        self.rate = rate
        self.lock = threading.Lock()
        self.next_at = 0.0
        self.enough = False
        self.outcomes = []  # (start, seconds, status or error text, who served)

    def _ask(self, connection):
        connection.request("GET", self.parts.path or "/")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("X-Served-By", "")

    def _work(self, until):
        connection = http.client.HTTPConnection(self.parts.hostname, self.parts.port or 80, timeout=10)
        while True:
            with self.lock:
                at = self.next_at
                self.next_at += 1 / self.rate
            if at >= until or self.enough:
                return
            time.sleep(max(0.0, at - time.monotonic()))
            started = time.monotonic()
            try:
                status, server = self._ask(connection)
            except OSError as error:
                status, server = repr(error), ""
                connection.close()
            except http.client.HTTPException as error:
                status, server = repr(error), ""
                connection.close()
            self.outcomes.append((started, time.monotonic() - started, status, server))

    def run(self, seconds):
        self.next_at = time.monotonic()
        until = self.next_at + seconds
        threads = [threading.Thread(target=self._work, args=(until,)) for _ in range(self.WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self, *_):
        """What runs is waited for, nothing more begins."""
        self.enough = True

    def summary(self):
        times = sorted(outcome[1] for outcome in self.outcomes)
        failed = [outcome for outcome in self.outcomes if outcome[2] != 200]
        servers = {}
        for outcome in self.outcomes:
            servers[outcome[3]] = servers.get(outcome[3], 0) + 1
        return {
            "requests": len(times),
            "failed": len(failed),
            "failures": [str(outcome[2]) for outcome in failed[:5]],
            "served_by": servers,
            "median_ms": round(1000 * times[len(times) // 2], 1) if times else None,
            "p99_ms": round(1000 * times[len(times) * 99 // 100], 1) if times else None,
            "slowest_ms": round(1000 * times[-1], 1) if times else None,
        }


if __name__ == "__main__":
    load = Load(sys.argv[3], float(sys.argv[2]))
    signal.signal(signal.SIGINT, load.stop)
    load.run(float(sys.argv[1]))
    print(json.dumps(load.summary()))
