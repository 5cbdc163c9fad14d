#!/usr/bin/python3
"""The status page in a real browser: brings a lab up in network namespaces and runs tests/ui/browser_*.mjs against it.

usage: drive.py [TEST...]      (make ui; root; npm's packages of tests/ui/package.json, Debian's Chromium and nodejs)
"""
import os
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from labkit.lab import Lab  # noqa: E402


def main(tests):
    build = os.environ.get("ROLLCALL_BUILD", "release")
    made = Lab(f"ui{zlib.crc32(str(ROOT).encode()) % 10000}", build)
    made.down()  # what an interrupted run may have left
    try:
        made.up()
        environment = {**os.environ, "LAB": made.name, "PAGE": f"http://127.0.0.1:{made.ways_in()['page and API']}",
                       "ROLLCALL": f"build/{build}/rollcall"}
        files = tests or sorted(str(path) for path in Path(__file__).parent.glob("browser_*.mjs"))
        return subprocess.call(["node", "--test", "--test-concurrency=1", *files], cwd=ROOT, env=environment)
    finally:
        made.down()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
