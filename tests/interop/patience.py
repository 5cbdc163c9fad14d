"""How long tests wait for what takes moments on an idle machine. Waits end early, so that patience costs nothing there."""
import os

FACTOR = float(os.environ.get("PATIENCE", "4"))  # how much slower than an idle machine one may be
LONGEST = 150


def patient(seconds):
    """What is waited where `seconds` would do on an idle machine: more, but never so long that a test has no time left."""
    return max(seconds, min(FACTOR * seconds, LONGEST))
