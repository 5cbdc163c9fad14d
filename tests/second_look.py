#!/usr/bin/python3
"""Runs pytest; if a few tests fail, looks at each of them again, alone on the machine.

usage: second_look.py PYTEST... -- TESTS...

Side by side, tests on a small machine now and then starve each other for seconds: then members that live are suspected and
leases end, as they must. What is broken fails alone as well. Who passes only alone is named at the end; when tests of
more than FEW files fail there is no second look. The tests of one folder's lab share it, and so count as one.
"""
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

FEW = 4


def name_of(case):
    """What pytest calls a test, from the words of its report."""
    parts = case.get("classname").split(".")
    for count in range(len(parts), 0, -1):
        path = Path(*parts[:count]).with_suffix(".py")
        if path.exists():
            group = case.get("name").rfind("@")  # pytest-xdist adds what is kept together
            name = case.get("name")[:group] if case.get("name")[group + 1:] in (path.stem, "lab") else case.get("name")
            return "::".join([str(path), *parts[count:], name])
    return None


def failed(report):
    """The tests that failed, or None if the report does not tell."""
    try:
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    names = [name_of(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return None if None in names else sorted(set(names))


def places(names):
    """What stood up once for these tests: a file, or the lab."""
    return {"lab" if name.startswith("tests/lab/") else name.partition("::")[0] for name in names}


def main(pytest, tests):
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        status = subprocess.call([*pytest, f"--junitxml={report}", *tests])
        names = failed(report) if status == 1 else None
    if not names or len(places(names)) > FEW:
        return status
    print("\n== a second look, alone, at what failed:", *names, sep="\n  ", flush=True)
    status = subprocess.call([*pytest, "-n", "1", *names])
    if status == 0:
        print("== passed alone, and failed beside others:", *names, sep="\n  ", flush=True)
    return status


if __name__ == "__main__":
    if "--" not in sys.argv[2:]:
        sys.exit(__doc__)
    cut = sys.argv.index("--")
    sys.exit(main(sys.argv[1:cut], sys.argv[cut + 1:]))
