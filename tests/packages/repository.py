"""The packages as `make deb` built them, and as if they were older, in a repository that a machine installs from."""
import re
import shutil
import subprocess

from machine import BUILD, ROOT

PACKAGES = ("rollcall", "rollcall-proxy")
SOURCE = "Types: deb\nURIs: file:/host/apt\nSuites: ./\nSigned-By: /host/apt/rollcall.gpg\n"


def built():
    return {name: next(BUILD.glob(f"{name}_*.deb")) for name in PACKAGES}


def former(package, scratch):
    """The same package under an older version. Its program is another file, which is all that dpkg and the units look at."""
    tree = scratch / "tree"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1~former", control.read_text(), flags=re.M))
    out = scratch / package.name.replace("_amd64", "~former_amd64")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(out)], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return out


def publish(shared, *packages):
    subprocess.run([str(ROOT / "scripts/apt-repository"), str(shared / "apt"), *map(str, packages)], check=True)


def install(machine, *packages):
    """The newest of them. What apt said."""
    machine.run("apt-get", "update", "-q")
    return machine.run("apt-get", "install", "-q", "-y", "--no-install-recommends", *packages).stdout
