"""Who may speak to a node of the lab: the text of /etc/nftables.conf.

From outside: HTTP and HTTPS to nodes with a proxy, SSH to adm1. From the machine that carries the lab: SSH to all of them. Inside:
everything; who is inside goes by address, and a range of them is kept for each kind, so that a node that comes later is let in by the
others as they are. That is no proof of who speaks: gossip is encrypted and the API asks for tokens all the same.
"""
import json

from . import inventory

PLACES = 9  # of one kind; adm1 is one
OUTSIDE = (("proxy", "80, 443", "visitors"), ("adm", "22", "operators"))
# VirtualBox's and libvirt's own networks, by which Vagrant comes in there.
CARRIERS = ("10.0.2.2", "192.168.121.1")


def insiders(raw, network):
    """({ranges of IPv4}, {ranges of IPv6}) kept for the lab's nodes."""
    four, six = [], []
    for kind in raw["kinds"]:
        first, last = kind["first"], kind["first"] + (0 if kind["name"] == "adm" else PLACES - 1)
        ends = {first, last}
        four.append("-".join(f"{network}.{end}" for end in sorted(ends)))
        six.append("-".join(f"{raw['network6']}{end}" for end in sorted(ends)))
    return four, six


def rules(node, path=inventory.FILE):
    """nftables.conf of a node; the whole of it is taken over at once or not at all."""
    raw = json.loads(path.read_text())
    network = inventory.load(path).networks[0].rsplit(".", 1)[0]
    four, six = insiders(raw, network)
    carriers = ", ".join((f"{network}.1", *CARRIERS))
    words = {*node.runs, node.kind}
    opened = "".join(f"        tcp dport {{ {ports} }} accept comment \"{whom}\"\n" for word, ports, whom in OUTSIDE if word in words)
    return f"""\
#!/usr/sbin/nft -f
# {node.name} of rollcall's lab (vagrant/roles/firewall): inside everything, from outside what a line below names.
table inet rollcall
delete table inet rollcall
table inet rollcall {{
    set inside4 {{ type ipv4_addr; flags interval; elements = {{ {", ".join(four)} }}; }}
    set inside6 {{ type ipv6_addr; flags interval; elements = {{ {", ".join(six)} }}; }}

    chain input {{
        type filter hook input priority filter; policy drop;
        ct state vmap {{ established : accept, related : accept, invalid : drop }}
        iif lo accept
        meta l4proto {{ icmp, ipv6-icmp }} accept comment "ping, neighbours, path MTU"
        ip saddr @inside4 accept
        ip6 saddr @inside6 accept
        ip saddr {{ {carriers} }} tcp dport 22 accept comment "vagrant ssh"
        ip6 saddr {raw["network6"]}1 tcp dport 22 accept comment "vagrant ssh"
{opened}        counter comment "refused"
    }}

    chain forward {{
        type filter hook forward priority filter; policy drop;
    }}
}}
"""
