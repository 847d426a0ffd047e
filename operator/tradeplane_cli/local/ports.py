"""Free loopback ports that stay ours while a process is killed and started again.

They are chosen below the kernel's range for outgoing connections: a port from that range could be given to any
connection of the machine while its process is down.
"""

import random
import socket

LOWEST, HIGHEST = 15000, 29999


def free(count: int) -> list[int]:
    """Return ``count`` different free ports of 127.0.0.1."""
    chosen: list[int] = []
    candidates = random.SystemRandom()
    for _ in range(10_000):
        if len(chosen) == count:
            return chosen
        port = candidates.randint(LOWEST, HIGHEST)
        if port not in chosen and _is_free(port):
            chosen.append(port)
    raise OSError(f"free ports of 127.0.0.1 in {LOWEST}-{HIGHEST}: needed {count}, found {len(chosen)}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Say whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
