"""Certificates for tests of TLS, and a client and a server that speak it."""
import socket
import ssl
import subprocess

from patience import patient
from proxy_lab import Client, Stream


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=patient(60))


class Authority:
    """Makes certificates; its own is `ca`."""

    def __init__(self, folder, name="authority"):
        self.folder, self.issued = folder, 0
        self.key, self.ca = folder / f"{name}.key", folder / f"{name}.crt"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.ca)

    def issue(self, name, names=None, days=30, kind="ec"):
        """(certificate, key); negative days: it has ended."""
        self.issued += 1
        stem = f"{name.replace('*', 'any')}.{kind}.{self.issued}"
        key, request, out, more = (self.folder / f"{stem}.{end}" for end in ("key", "csr", "crt", "ext"))
        more.write_text(f"subjectAltName={names or 'DNS:' + name}\n")
        words = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["rsa:2048"]
        openssl("req", "-newkey", *words, "-nodes", "-subj", f"/CN={name.replace('*', 'any')}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial", "-days", days, "-extfile", more, "-out", out)
        return out, key

    def trusting(self, **more):
        """A context of clients."""
        context = ssl.create_default_context(cafile=str(self.ca))
        for name, value in more.items():
            setattr(context, name, value)
        return context


def serving(pair):
    """A context of servers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, pair))
    return context


class SecureClient(Client):
    def __init__(self, port, context, name="app.test", session=None, timeout=30):
        plain = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        try:
            sealed = context.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise
        Stream.__init__(self, sealed)

    @property
    def subject(self):
        return dict(pair for (pair,) in self.sock.getpeercert()["subject"])["commonName"]


def sealed(serve, context):
    """The same service behind TLS."""
    def run(stream, backend):
        serve(Stream(context.wrap_socket(stream.sock, server_side=True)), backend)
    return run
