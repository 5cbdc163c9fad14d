"""HTTP through rollcall-proxy: memory, whatever the size of bodies and the number of clients."""
import socket
import time

from proxy_lab import POST, Client, echo, field, get, hammer, lab, ok, read_request, rss_slack, says  # noqa: F401


def counting(size):
    """Answers with `size` bytes, or says how many came."""
    block = b"0123456789abcdef" * 4096

    def serve(stream, backend):
        while True:
            head = stream.head()
            if not head:
                return
            length = field(head, "content-length")
            if length:
                got = len(stream.rest)
                stream.rest = b""
                while got < int(length[0]):
                    got += len(stream.sock.recv(1 << 18))
                stream.send(ok(str(got)))
                continue
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(block)):
                stream.send(block)

    return serve


def drain(client, size):
    assert client.head().startswith("HTTP/1.1 200")
    got = len(client.rest)
    client.rest = b""
    while got < size:
        data = client.sock.recv(min(size - got, 1 << 18))
        assert data
        got += len(data)
    return got


def test_memory_does_not_grow_with_bodies(lab):
    size = 1 << 28
    proxy = lab.proxy(lab.backend(counting(size)))
    client = proxy.client(timeout=60)
    client.send(get())
    assert drain(client, size) == size
    before = proxy.rss_kib()
    for _ in range(2):
        client.send(get())
        assert drain(client, size) == size
    client.send(POST + "Content-Length: %d\r\n\r\n" % size)
    for _ in range(size // (1 << 20)):
        client.sock.sendall(b"x" * (1 << 20))
    assert client.response().body == str(size).encode()
    assert proxy.rss_kib() - before < 1024 * rss_slack()


def test_slow_reader_holds_one_buffer_not_the_body(lab):
    size = 1 << 26
    proxy = lab.proxy(lab.backend(counting(size)))
    client = proxy.client(timeout=60)
    before = proxy.rss_kib()
    client.send(get())
    time.sleep(1)
    assert proxy.rss_kib() - before < 1024 * rss_slack()
    assert drain(client, size) == size


def test_proxy_without_buffers_refuses_and_recovers(lab):
    """56 buffers for 80 clients that all want some at once."""
    def serve(stream, backend):
        while read_request(stream, backend) is not None:
            time.sleep(0.05)
            stream.send(ok("x" * 30000))

    proxy = lab.proxy(lab.backend(serve), top="buffer_limit 1MiB")
    results = []
    text = POST + "Content-Length: 30000\r\n\r\n" + "y" * 30000
    for _ in range(5):
        for thread in hammer(proxy, 2, text, results, threads=80):
            thread.join()
        if 200 in results:
            break
    assert 200 in results
    assert proxy.ask(get()).status == 200


def test_interim_heads_beyond_the_buffer_are_not_fatal(lab):
    early = "HTTP/1.1 103 Early Hints\r\nA: %s\r\n\r\n" % ("b" * 15000)
    proxy = lab.proxy(lab.backend(says(early * 16 + ok("x"))))
    client = proxy.client()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(get() * 8)
    time.sleep(0.3)
    client.close()
    assert proxy.ask("GET / HTTP/1.0\r\n\r\n").status == 200


def test_many_idle_clients_cost_little(lab):
    proxy = lab.proxy(lab.backend(echo()))
    clients = [proxy.client() for _ in range(50)]
    for client in clients:
        assert client.ask(get()).status == 200
    before = proxy.rss_kib()
    more = [Client(proxy.port) for _ in range(400)]
    for client in more:
        assert client.ask(get()).status == 200
    assert proxy.rss_kib() - before < 2048 * rss_slack()
