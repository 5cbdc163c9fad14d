"""Programs on the lab's hosts: started in their namespace, known by a pid file, stopped by signal."""
import os
import signal
import subprocess
import time
from pathlib import Path


def alive(pid):
    """A zombie has ended, whoever has not yet collected it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Program:
    """One long-running process of one host."""

    def __init__(self, name, pid_file, log_file):
        self.name = name
        self.pid_file = Path(pid_file)
        self.log_file = Path(log_file)

    def pid(self):
        """Its process id while it runs, else None."""
        try:
            pid = int(self.pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if alive(pid) else None

    def start(self, command, environment=None):
        if self.pid() is not None:
            return
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_file, "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **(environment or {})}, cwd="/")
        self.pid_file.write_text(f"{process.pid}\n")

    def stop(self, how=signal.SIGTERM, seconds=15):
        """Asks it to end and waits; kills it, and says so, when it does not."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, how)
        deadline = time.monotonic() + seconds
        while alive(pid) and time.monotonic() < deadline:
            _collect(pid)
            time.sleep(0.02)
        if alive(pid):
            print(f"{self.name} (process {pid}) did not stop within {seconds} s: killed")
            os.kill(pid, signal.SIGKILL)
        self.pid_file.unlink(missing_ok=True)

    def last_words(self, lines=5):
        """The end of its log, for a message about its death."""
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"


def _collect(pid):
    """Takes the exit status if the process is a child of ours."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def until(claim, what, seconds=120.0, every=0.05):
    """Waits until `claim()` is true; TimeoutError naming `what` otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        answer = claim()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(every)
