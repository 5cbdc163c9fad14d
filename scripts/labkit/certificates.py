"""A small certificate authority of the lab's own, for etcd and those who ask it."""
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


def give(authority, node, folder):
    """ca.pem, node.pem and node.key in `folder`: to be a member of etcd and to ask one."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key, asked, extra = (folder / name for name in ("node.pem", "node.key", "node.csr", "node.ext"))
    (folder / "ca.pem").write_text((authority / "ca.pem").read_text())
    if cert.exists():
        return
    # etcd's gateway asks its own member, so each certificate is for both sides.
    extra.write_text(f"subjectAltName=IP:{node.address},IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    key.touch(mode=0o640)
    _openssl("req", *CURVE, "-subj", f"/CN={node.name}", "-keyout", key, "-out", asked)
    _openssl("x509", "-req", "-in", asked, "-CA", authority / "ca.pem", "-CAkey", authority / "ca.key", "-CAcreateserial",
             "-days", DAYS, "-extfile", extra, "-out", cert)
    asked.unlink()
    extra.unlink()
