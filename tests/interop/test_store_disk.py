#!/usr/bin/python3
"""A store on SQLite that is killed, and whose disk is full or fails: tests/crash/README.md."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import patient

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release")
ROUNDS = 40


def store(*words):
    done = subprocess.run([str(BUILD / "rollcall-store"), *map(str, words)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    assert f"killed {ROUNDS} times" in store("kill", tmp_path / "store", ROUNDS, 7)


def test_what_was_acknowledged_survives_power_cuts(tmp_path):
    assert f"killed {ROUNDS} times" in store("power", tmp_path / "store", ROUNDS, 7)


def test_what_a_server_agent_acknowledged_survives_kill_9():
    if os.geteuid() != 0:
        pytest.skip("only root can make a network of its own")
    done = subprocess.run([sys.executable, "-B", str(ROOT / "tests/interop/store_kill.py")], capture_output=True,
                          text=True, timeout=280, env=dict(os.environ, STORE_KILLS="15", STORE_SEED="3"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("15 kills: ") and "none lost" in done.stdout


def test_disk_errors_are_refused_and_nothing_acknowledged_is_lost(tmp_path):
    said = store("faults", tmp_path / "store")
    assert "fsync fails" in said and "(syncing)" in said
    assert "full" in said and "no room left" in said


def test_store_without_memory_refuses_and_loses_nothing(tmp_path):
    said = store("memory", tmp_path / "store")
    assert "refused" in said or "left out" in said


def test_full_disk_is_refused_until_there_is_room(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", tmp_path], check=True)
    try:
        said = store("full", tmp_path / "store")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert "no room left" in said and "room again" in said


def test_file_system_that_cannot_be_written_is_said_at_the_start(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", tmp_path], check=True)
    try:
        tried = subprocess.run([str(BUILD / "rollcall-store"), "faults", str(tmp_path / "store")],
                               capture_output=True, text=True, timeout=patient(60))
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert tried.returncode == 1
    assert tried.stderr == f"{tmp_path}/store cannot be made: Read-only file system\n"
