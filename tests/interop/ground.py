"""Where the data of real servers stands in tests: in memory, so that nobody waits for a disk, if there is room."""
import shutil
import tempfile
from pathlib import Path

MEMORY = "/dev/shm"
ROOM = 3 << 30  # bytes: a container's /dev/shm often has but 64 MB, and what is there counts as its memory


def _free_memory():
    """Bytes, as far as the machine and the container that we know of say."""
    words = Path("/proc/meminfo").read_text().split()
    free = int(words[words.index("MemAvailable:") + 1]) << 10
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(limit.with_name("memory.current").read_text()))
    return free


def new_folder(prefix):
    """An empty folder that everybody may enter; the caller removes it."""
    try:
        home = MEMORY if min(shutil.disk_usage(MEMORY).free, _free_memory()) >= ROOM else None
    except (OSError, ValueError):
        home = None
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
    made.chmod(0o755)
    return made
