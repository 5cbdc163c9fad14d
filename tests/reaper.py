#!/usr/bin/python3
"""Runs a command and collects the orphans of all that it starts; ends with its status, and what is left ends too.

usage: reaper.py COMMAND...

Tests kill programs whose children are orphans then. The first process of a container may collect none of them: they stay
zombies, which PostgreSQL and others take for alive. And whoever holds our standard output open keeps our caller waiting.
"""
import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def children():
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def end_all(rounds=100):
    """Each that is killed may leave children of its own, which become ours."""
    for _ in range(rounds):
        left = children()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not left:
            return
        time.sleep(0.02)


def main(words):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    command = os.fork()
    if command == 0:
        os.execvp(words[0], words)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(command, number))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == command:
            break
    end_all()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
