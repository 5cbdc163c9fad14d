"""What the programs of a pool said around a fault, in one order: where the time went."""
import re
import time
from datetime import datetime

STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d\.\d+)(Z|[+-]\d\d:?\d\d| [A-Z]{3,4})?")
QUIET = ("order .*: renew", "gossip", "set slots")


class Timeline:
    """mark() at the beginning; afterwards lines(since, until), times in seconds of CLOCK_MONOTONIC."""

    def __init__(self, pool):
        self.files = {f"{name} {file.name}": file for name, host in pool.hosts.items()
                      for file in (host.folder / "agent.log", host.folder / "proxy.log", host.folder / "data" / "pg" / "main.log")}
        self.sizes = {}

    def mark(self):
        self.sizes = {name: file.stat().st_size if file.exists() else 0 for name, file in self.files.items()}
        return self

    def lines(self, since, until):
        wall = time.time() - time.monotonic()
        found = []
        for name, file in self.files.items():
            if not file.exists():
                continue
            with open(file, errors="replace") as text:
                text.seek(self.sizes.get(name, 0))
                for line in text:
                    at = self._when(line)
                    if at is not None and since <= at - wall <= until and not any(re.search(word, line) for word in QUIET):
                        found.append((at - wall - since, f"{name}: {STAMP.sub('', line, count=1).strip()}"))
        return sorted(found)

    @staticmethod
    def _when(line):
        stamp = STAMP.search(line[:60])
        if stamp is None:
            return None
        zone = stamp[3] or "Z"
        moment = datetime.fromisoformat(f"{stamp[1]} {stamp[2]}" + ("+00:00" if zone == "Z" or zone.strip().isalpha() else zone))
        return moment.timestamp()
