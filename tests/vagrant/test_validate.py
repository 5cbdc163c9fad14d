"""The Vagrantfile is right for each of its providers, and says the same as scripts/lab."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from labkit import inventory  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("vagrant"), reason="needs Vagrant: scripts/install-deps vagrant")


@pytest.fixture
def vagrant(tmp_path):
    """Runs it on a copy of the two files it reads. VirtualBox is a program that only says its version."""
    stub = tmp_path / "bin" / "VBoxManage"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\n[ "$1" != --version ] || echo 7.0.10r158379\n')
    stub.chmod(0o755)
    (tmp_path / "vagrant").mkdir()
    shutil.copy(ROOT / "Vagrantfile", tmp_path)
    shutil.copy(ROOT / "vagrant" / "inventory.json", tmp_path / "vagrant")
    (tmp_path / "vagrant" / "provision").touch()

    def run(*words, provider="lxc", **environment):
        path = f"{stub.parent}:{os.environ['PATH']}" if provider == "virtualbox" else os.environ["PATH"]
        clean = {key: value for key, value in os.environ.items() if key not in ("WEB_NODES", "PG_NODES")}
        return subprocess.run(["vagrant", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False, env={
            **clean, "PATH": path, "VAGRANT_DEFAULT_PROVIDER": provider, "VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_NO_COLOR": "1",
            "VAGRANT_CHECKPOINT_DISABLE": "1", **environment})
    run.file = tmp_path / "Vagrantfile"
    return run


@pytest.mark.parametrize("provider", ["virtualbox", "libvirt", "lxc"])
def test_the_vagrantfile_is_valid(vagrant, provider):
    done = vagrant("validate", provider=provider)
    if "could not be found" in done.stdout + done.stderr and provider == "libvirt":
        pytest.skip("the plugin vagrant-libvirt is not here")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_setting_of_a_provider_is_found(vagrant):
    text = vagrant.file.read_text()
    assert "provider.memory = 1024" in text
    vagrant.file.write_text(text.replace("provider.memory = 1024", "provider.memoryx = 1024"))
    done = vagrant("validate", provider="virtualbox")
    assert done.returncode != 0 and "memoryx" in done.stdout + done.stderr


@pytest.mark.parametrize("counts", [{}, {"WEB_NODES": "3"}, {"PG_NODES": "3", "WEB_NODES": "1"}])
def test_it_has_the_nodes_that_the_lab_has(vagrant, monkeypatch, counts):
    for name in ("WEB_NODES", "PG_NODES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in counts.items():
        monkeypatch.setenv(name, value)
    done = vagrant("status", "--machine-readable", **counts)
    told = {line.split(",")[1] for line in done.stdout.splitlines() if ",state," in line}
    assert told == {node.name for node in inventory.load().nodes}, done.stdout + done.stderr
