"""Which TCP ports of which addresses answer: open, refused (the machine says no) or silent (nobody says anything).

Run as a program where the question matters: ADDRESS,ADDRESS... PORT,PORT...; prints {address: {port: word}} as JSON.
"""
import asyncio
import json
import sys

# What any node of the lab, here or on machines, listens on somewhere, and some that nobody should.
PORTS = (21, 22, 53, 80, 111, 443, 2379, 2380, 5432, 5433, 6379, 6514, 8000, 8080, 8300, 8301, 8302, 8500, 8502, 8600, 8800, 8801, 9090, 9100)
SECONDS = 2  # of silence


async def _knock(address, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), SECONDS)
        writer.close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except (OSError, asyncio.TimeoutError):
        return "silent"


async def _main(addresses, ports):
    asked = [(address, port) for address in addresses for port in ports]
    said = await asyncio.gather(*(_knock(*each) for each in asked))
    found = {address: {} for address in addresses}
    for (address, port), what in zip(asked, said):
        found[address][port] = what
    print(json.dumps(found))


def heard(text):
    """What the program printed, without the silence."""
    return {address: {int(port): what for port, what in ports.items() if what != "silent"} for address, ports in json.loads(text).items()}


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1].split(","), [int(port) for port in sys.argv[2].split(",")]))
