"""nginx and HAProxy before backends that a test scripts, side by side with rollcall-proxy.

Each is started with a configuration of a few lines on ports of its own, and ended by its process id. What they do with
HTTP they do as Debian ships them.
"""
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import time

from patience import patient
from proxy_lab import free_port, program


def wait_until_open(process, ports, said):
    end = time.monotonic() + patient(20)
    for port in ports:
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("it does not listen on %d: %s" % (port, said()))
            time.sleep(0.02)


class Peer:
    """A program with one configuration file; `ports` are waited for."""

    def __init__(self, directory, name, command, text, ports):
        self.directory = directory
        self.config = directory / (name + ".conf")
        self.config.write_text(text)
        self.said_file = open(directory / (name + ".err"), "w+b")
        self.process = subprocess.Popen([*command, str(self.config)], stdout=self.said_file, stderr=self.said_file,
                                        cwd=directory)
        wait_until_open(self.process, ports, self.said)

    def said(self):
        self.said_file.seek(0)
        return self.said_file.read().decode("utf-8", "replace")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(patient(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said_file.close()
        return self.process.returncode


def rollcall(directory, text, ports, name="rollcall"):
    """A rollcall-proxy with any configuration; its admin port is added."""
    admin = free_port()
    peer = Peer(directory, name, [program(), "-config"], "worker_threads 1\nadmin 127.0.0.1:%d\ngrace 0s\n%s" %
                (admin, text), [*ports, admin])
    peer.admin = admin
    return peer


HAPROXY = """global
    maxconn 2000
    nbthread 1
defaults
    mode %s
    timeout connect 2s
    timeout client %s
    timeout server 5s
    timeout http-request 3s
    retries 0
%s
"""


def haproxy(directory, text, ports, mode="http", name="haproxy", client="5s"):
    return Peer(directory, name, ["haproxy", "-db", "-q", "-f"], HAPROXY % (mode, client, text), ports)


NGINX = """daemon off;
master_process off;
pid %s/nginx.pid;
error_log %s/nginx.error.log crit;
events { worker_connections 1024; }
%s
http {
    access_log off;
    client_body_temp_path %s/body;
    proxy_temp_path %s/proxy;
    fastcgi_temp_path %s/fastcgi;
    uwsgi_temp_path %s/uwsgi;
    scgi_temp_path %s/scgi;
    client_header_timeout 3s;
    client_body_timeout 3s;
    proxy_read_timeout 5s;
%s
}
"""


def nginx_has_stream():
    """Debian's nginx-light brings it as a module of its own, or not at all."""
    return nginx_stream_module() is not None


def nginx_stream_module():
    import glob
    found = glob.glob("/usr/lib/nginx/modules/ngx_stream_module.so")
    return found[0] if found else None


def nginx(directory, text, ports, name="nginx"):
    place = str(directory)
    return Peer(directory, name, ["nginx", "-e", place + "/nginx.start.log", "-c"],
                NGINX % (place, place, "", place, place, place, place, place, text), ports)


def version(command):
    """What `haproxy -v` or `nginx -v` calls itself, or None when it is not there."""
    if not shutil.which(command):
        return None
    said = subprocess.run([command, "-v"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=patient(10)).stdout
    found = re.search(r"(?:version:? ?|nginx/)(\d+\.\d+(?:\.\d+)?)", said)
    return found.group(1) if found else said.split("\n")[0]
