"""A Debian machine for one test: systemd on a copy of a small Debian, in namespaces of its own, without a way out."""
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "deb"
SLOW = float(os.environ.get("PATIENCE", "4"))
LONG = 60 * SLOW
# What a small Debian has besides what the packages stand on: they are installed without a network.
BESIDE = ("systemd systemd-sysv dbus iproute2 procps logrotate perl-base init-system-helpers gpgv ca-certificates"
          " postgresql-15 polkitd libpam-systemd")

# Run in new namespaces: $1 the machine's root, $2 a folder on the host that it sees as /host.
START = r"""
set -eu
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
mount --bind "$1/proc/sys" "$1/proc/sys" && mount -o remount,ro,bind "$1/proc/sys"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for name in null zero full random urandom tty; do touch "$1/dev/$name"; mount --bind "/dev/$name" "$1/dev/$name"; done
mkdir "$1/dev/shm" "$1/dev/pts"
mount -t tmpfs tmpfs "$1/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"; ln -s /proc/self/fd "$1/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mkdir "$1/run/host"
mkdir -p "$1/host" && mount --bind "$2" "$1/host"
ip link set lo up
hostname machine
cd "$1" && mkdir -p .host && pivot_root . .host && umount -l .host && rmdir .host
exec env -i container=rollcall PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_module,-sys_time,-sys_boot,-syslog /lib/systemd/systemd --log-target=console >/dev/null 2>&1
"""


def libraries():
    """What `scripts/install-deps run` names."""
    return re.search(r"^run='([^']*)'", (ROOT / "scripts/install-deps").read_text(), re.M).group(1).split()


def mirror():
    """Where this machine gets Debian from."""
    said = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True,
                          text=True, check=True).stdout.split()
    return next(uri for uri in said if "security" not in uri and "//" in uri)


def debian():
    """The folder of the small Debian, made once."""
    folder, made = BUILD / "debian-bookworm", BUILD / "debian-bookworm.made"
    wanted = " ".join([*BESIDE.split(), *libraries()])
    if made.exists() and made.read_text() == wanted:
        return folder
    made.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    archives = BUILD / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    subprocess.run(["debootstrap", f"--cache-dir={archives}", "--variant=minbase", "--include=" + wanted.replace(" ", ","), "bookworm", str(folder), mirror()],
                   check=True, stdout=subprocess.DEVNULL, timeout=LONG * 5)
    for unit in ("getty@tty1.service", "console-getty.service", "getty.target", "apt-daily.timer", "apt-daily-upgrade.timer",
                 "systemd-networkd.service", "systemd-logind.service", "systemd-timesyncd.service", "postgresql.service"):
        (folder / "etc/systemd/system" / unit).symlink_to("/dev/null") if not (folder / "etc/systemd/system" / unit).is_symlink() else None
    (folder / "etc/apt/sources.list").write_text("")
    (folder / "etc/machine-id").write_text("")
    made.write_text(wanted)
    return folder


class Machine:
    """Runs from its making to close(). `shared` is what it sees as /host."""

    def __init__(self, scratch, shared):
        self.scratch = Path(scratch)
        self.root = self.scratch / "root"
        self.group = Path("/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup") / self.scratch.name
        for name in ("root", "upper", "work"):
            (self.scratch / name).mkdir()
        options = f"lowerdir={debian()},upperdir={self.scratch}/upper,workdir={self.scratch}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(self.root)], check=True)
        self.group.mkdir()
        # It ends with us, however we end.
        enter = 'echo $$ >"$0/cgroup.procs" && exec setpriv --pdeathsig KILL unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child sh -c "$1" sh "$2" "$3"'
        self.keeper = subprocess.Popen(["sh", "-c", enter, str(self.group), START, str(self.root), str(shared)],
                                       stdin=subprocess.DEVNULL, stderr=(self.scratch / "start.log").open("w"))
        self.pid = self._first_process()
        self.until(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"))

    def _first_process(self):
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            children = Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children").read_text().split()
            if children and Path(f"/proc/{children[0]}/comm").read_text() == "systemd\n":
                return int(children[0])
            assert self.keeper.poll() is None, (self.scratch / "start.log").read_text()
            time.sleep(0.05)
        raise AssertionError("no systemd: " + (self.scratch / "start.log").read_text())

    def close(self):
        self.keeper.kill()
        self.keeper.wait()
        self.until(lambda: not (self.group / "cgroup.procs").read_text() and not list(self.group.glob("*/")) or self._sweep())
        subprocess.run(["umount", "-l", str(self.root)], check=True)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _sweep(self):
        for folder in sorted(self.group.rglob("*"), reverse=True):
            if folder.is_dir():
                folder.rmdir()
        self.group.rmdir()
        return True

    def until(self, condition, why=""):
        end = time.monotonic() + LONG
        while True:
            try:
                found = condition()
            except (OSError, subprocess.CalledProcessError):
                found = False
            if found:
                return found
            assert time.monotonic() < end, why() if callable(why) else why or "waited in vain"
            time.sleep(0.1)

    def run(self, *words, check=True):
        """Runs a program on the machine."""
        done = subprocess.run(["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd",
                               "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
                               *map(str, words)], capture_output=True, text=True, check=False, timeout=LONG, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    def beside(self, *words, **options):
        """Starts a program of this machine's in the network of that one."""
        return subprocess.Popen(["nsenter", f"--target={self.pid}", "--net", *map(str, words)], **options)

    def journal(self, unit):
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit).stdout

    def show(self, unit, name):
        """A property of a unit, as systemctl(1) has it."""
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def get(self, port, path, *more):
        return subprocess.run(["nsenter", f"--target={self.pid}", "--net", "curl", "-sS", "-f", *more, f"http://127.0.0.1:{port}{path}"],
                              capture_output=True, text=True, check=True, timeout=LONG).stdout
