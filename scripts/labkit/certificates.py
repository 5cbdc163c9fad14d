"""A small certificate authority of the lab's own: for etcd and those who ask it, and for the proxies' visitors."""
import subprocess

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
DAYS = "3650"


def _openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, text=True)


def make_authority(folder):
    """ca.pem and ca.key in `folder`, unless they are there; the key is for the owner's eyes only."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    cert, key = folder / "ca.pem", folder / "ca.key"
    if not cert.exists():
        key.touch(mode=0o600)
        _openssl("req", "-x509", *CURVE, "-days", DAYS, "-subj", "/CN=rollcall lab", "-keyout", key, "-out", cert)


def names(inventory, node):
    """Everything that the node is asked for as."""
    domain = inventory.domain.rstrip(".")
    words = [f"IP:{address}" for address in (*node.addresses, "127.0.0.1", "::1")]
    words += [f"DNS:{name}" for name in (node.name, f"{node.name}.node.{domain}", "localhost")]
    if "proxy" in node.runs:
        words += [f"DNS:{name}.service.{domain}" for name in ("todomvc", "rollcall-proxy")]
    return ",".join(words)


def give(authority, inventory, node, folder):
    """ca.pem, node.pem and node.key in `folder`, for both sides of a connection; what is there and right stays."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key, asked, extra = (folder / name for name in ("node.pem", "node.key", "node.csr", "node.ext"))
    wanted = f"subjectAltName={names(inventory, node)}\nextendedKeyUsage=serverAuth,clientAuth\n"
    ca = (authority / "ca.pem").read_text()
    if cert.exists() and extra.exists() and extra.read_text() == wanted and (folder / "ca.pem").read_text() == ca:
        return
    (folder / "ca.pem").write_text(ca)
    extra.write_text(wanted)
    key.unlink(missing_ok=True)
    key.touch(mode=0o640)
    _openssl("req", *CURVE, "-subj", f"/CN={node.name}", "-keyout", key, "-out", asked)
    _openssl("x509", "-req", "-in", asked, "-CA", authority / "ca.pem", "-CAkey", authority / "ca.key", "-CAcreateserial",
             "-days", DAYS, "-extfile", extra, "-out", cert)
    asked.unlink()
