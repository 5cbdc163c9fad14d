"""The clock of one host's agent and warden, set by a test: what clock_shim.c reads."""
import mmap
import shutil
import struct
import time

NS = 10**9


def real():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Clock:
    """For the programs in one folder: put rollcall-clocked there before they start."""

    def __init__(self, folder, program):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        shutil.copy2(program, folder / "rollcall")
        (folder / "clock").write_bytes(bytes(8 * 9))
        (folder / "clock").chmod(0o644)
        self.file = open(folder / "clock", "r+b")
        self.map = mmap.mmap(self.file.fileno(), 8 * 9)
        self.which, self.step, self.base, self.offset, self.rate = 0, 0, real(), 0, 0

    def _write(self):
        self.which = 1 - self.which
        self.map[8 + 32 * self.which:40 + 32 * self.which] = struct.pack("<4q", self.step, self.base, self.offset, self.rate)
        self.map[0:8] = struct.pack("<q", self.which)

    def set_wall(self, seconds):
        """CLOCK_REALTIME is so far from the right time, at once."""
        self.step = int(seconds * NS)
        self._write()

    def run_at(self, percent):
        """All clocks are so much too fast from now on; less than 0: too slow."""
        now = real()
        self.offset += (now - self.base) // 10**6 * self.rate
        self.base, self.rate = now, int(percent * 10**4)
        self._write()

    def ahead_s(self):
        return (self.offset + (real() - self.base) // 10**6 * self.rate) / NS
