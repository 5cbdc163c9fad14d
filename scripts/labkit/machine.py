"""The files of one node that is a machine of its own (`vagrant up`): vagrant/roles put them where they belong."""
from . import certificates, configuration

ETC = "/etc/rollcall"
PLACES = configuration.Places("/var/lib/rollcall", "/var/log/rollcall-proxy", f"{ETC}/tls", "/var/lib/etcd/rollcall",
                              "/var/lib/postgresql/rollcall", warden_is_unit=True, proxy_tls="/etc/rollcall-proxy/tls")


def _write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _environment(values):
    """As systemd's EnvironmentFile= reads it."""
    return "".join(f'{key}="{value}"\n' for key, value in values.items())


def configure(inventory, node, secrets, authority, folder):
    """Writes all of it into `folder`, which is for root's eyes only."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    configuration.write(inventory, node, secrets, PLACES, folder)
    # Certificates are made once: what the node has is taken, if it is still right.
    certificates.give(authority, inventory, node, folder / "tls")
    _write(folder / "hosts", configuration.hosts(inventory))
    for name, purpose in configuration.tokens.files(node).items():
        _write(folder / "tokens" / name, secrets.tokens[purpose] + "\n")
    _write(folder / "password", secrets.database + "\n")  # of the database
    if "postgres" in node.runs:
        _write(folder / "pg_hba.conf", configuration.postgres_access(inventory))
        _write(folder / "roles.sql", configuration.postgres_roles(secrets))
    if "todomvc" in node.runs:
        _write(folder / "todomvc.env", _environment({**configuration.webapp_environment(node, secrets),
                                                     "TODOMVC_BIND": configuration.webapp_bind(node)}))
