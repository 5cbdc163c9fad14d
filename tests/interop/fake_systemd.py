#!/usr/bin/python3
"""Usage: fake_systemd.py FOLDER

What a check and a restart ask of systemd, on the bus of DBUS_SYSTEM_BUS_ADDRESS, for machines that have none. A unit is
FOLDER/NAME.json: {"active", "sub", "result", "load", "restarts", "deny", "job", "start"}; it is read at each question, so that a
test changes it at will. RestartUnit appends a line to FOLDER/orders, runs the unit's `start` (a shell command), sets it active
and tells how its job ended (`job`, else "done"). Names and signatures: org.freedesktop.systemd1(5).
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import dbus
import dbus.lowlevel
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.freedesktop.systemd1"
ROOT = "/org/freedesktop/systemd1"


def unit_of(path):
    """Of the bus's escaping: _2e is a dot."""
    return re.sub("_([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), path.rsplit("/", 1)[1])


class Refused(dbus.DBusException):
    def __init__(self, name, words):
        super().__init__(words, name=name)


class Manager(dbus.service.FallbackObject):
    def __init__(self, bus, folder):
        super().__init__(bus, ROOT)
        self.bus = bus
        self.folder = Path(folder)
        self.jobs = 0

    def unit(self, name):
        file = self.folder / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v", path_keyword="path")
    def Get(self, interface, key, path=None):
        unit = self.unit(unit_of(path))
        if unit is None:
            unit = {"load": "not-found", "active": "inactive", "sub": "dead"}
        return {"LoadState": unit.get("load", "loaded"), "ActiveState": unit.get("active", "active"),
                "SubState": unit.get("sub", "running"), "Result": unit.get("result", "success"),
                "NRestarts": dbus.UInt32(unit.get("restarts", 0))}[str(key)]

    @dbus.service.method(f"{NAME}.Manager", in_signature="ss", out_signature="o")
    def RestartUnit(self, name, mode):
        unit = self.unit(name)
        if unit is None:
            raise Refused(f"{NAME}.NoSuchUnit", f"Unit {name} not found.")
        if unit.get("deny"):
            raise Refused("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "Interactive authentication required.")
        with (self.folder / "orders").open("a") as orders:
            orders.write(f"{name} {mode}\n")
        self.jobs += 1
        number = self.jobs
        path = f"{ROOT}/job/{number}"
        GLib.timeout_add(50, self.end, number, path, str(name), unit)
        return dbus.ObjectPath(path)

    def end(self, number, path, name, unit):
        if "start" in unit:
            subprocess.Popen(unit["start"], shell=True, start_new_session=True)
        result = unit.get("job", "done")
        if result == "done":
            unit.update(active="active", sub="running", result="success")
            fresh = self.folder / f"{name}.new"
            fresh.write_text(json.dumps(unit))
            fresh.rename(self.folder / f"{name}.json")
        signal = dbus.lowlevel.SignalMessage(ROOT, f"{NAME}.Manager", "JobRemoved")
        signal.append(dbus.UInt32(number), dbus.ObjectPath(path), name, result, signature="uoss")
        self.bus.send_message(signal)
        return False


if __name__ == "__main__":
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    system = dbus.SystemBus()
    manager = Manager(system, sys.argv[1])
    owned = dbus.service.BusName(NAME, system)
    print("up", flush=True)
    GLib.MainLoop().run()
