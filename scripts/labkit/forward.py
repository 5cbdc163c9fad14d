"""Carries TCP and UDP from this machine's loopback into a host of the lab.

Run as a program of its own: the sockets that listen are made first, in the machine's network;
then the process moves into the host's namespace, and every connection it makes starts there.
"""
import ctypes
import socket
import sys
import threading

CLONE_NEWNET = 0x40000000
UDP_IDLE_SECONDS = 10


def _move_to(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}", encoding="ascii") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


def _pump(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()


def _serve_tcp(listener, target):
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(target, timeout=5)
            server.settimeout(None)
        except OSError:
            client.close()
            continue
        for pair in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()


def _answer_udp(listener, client, server):
    """Sends back what the server says, until it has been silent for a while."""
    server.settimeout(UDP_IDLE_SECONDS)
    try:
        while True:
            listener.sendto(server.recv(65535), client)
    except OSError:
        server.close()


def _serve_udp(listener, target):
    servers = {}
    while True:
        question, client = listener.recvfrom(65535)
        server = servers.get(client)
        if server is None or server.fileno() < 0:
            servers = {known: s for known, s in servers.items() if s.fileno() >= 0}
            server = servers[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.connect(target)
            threading.Thread(target=_answer_udp, args=(listener, client, server), daemon=True).start()
        try:
            server.send(question)
        except OSError:
            server.close()


def main(arguments):
    """NAMESPACE, then for each way in: tcp|udp LOCAL-PORT ADDRESS PORT"""
    namespace, ways = arguments[0], arguments[1:]
    serving = []
    for protocol, local, address, port in zip(*[iter(ways)] * 4):
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        listener = socket.socket(socket.AF_INET, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(local)))
        if protocol == "tcp":
            listener.listen(128)
        serving.append((_serve_tcp if protocol == "tcp" else _serve_udp, listener, (address, int(port))))
    _move_to(namespace)
    for serve, listener, target in serving:
        threading.Thread(target=serve, args=(listener, target), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
