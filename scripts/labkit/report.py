"""What the lab looks like, in words."""
from .lab import SERVICES


def _table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def services(lab):
    """Which service runs on which host, and which database is what."""
    rows = [("Host", "Address", "Services")]
    for node in lab.inventory.nodes:
        words = []
        for service in SERVICES:
            if service in node.runs:
                word = "up" if lab.is_up(node, service) else "down"
                if service == "postgres" and word == "up":
                    word = lab.server(node).role() or "not answering"
                words.append(f"{service}: {word}")
        rows.append((node.name, node.address, ", ".join(words)))
    return _table(rows) + "\n"


def members(lab):
    """The member table as the first agent that answers sees it."""
    for node in lab.inventory.nodes:
        seen = lab.ask(node, "members", check=False)
        if seen:
            return f"Members, as {node.name} sees them:\n{seen}"
    return "No agent answers.\n"


def ways_in(lab):
    ways = lab.ways_in()
    if not ways:
        return "The lab is down."
    page, dns, webapp = ways["page and API"], ways["DNS"], ways["webapp"]
    return f"""\
From this machine:
  status page   http://127.0.0.1:{page}/ui/
  API           curl http://127.0.0.1:{page}/v1/catalog/services
  DNS           dig @127.0.0.1 -p {dns} _todomvc._tcp.service.rollcall SRV
  to-do list    http://127.0.0.1:{webapp}/
Next: sudo scripts/lab demo, or sudo scripts/lab help"""
