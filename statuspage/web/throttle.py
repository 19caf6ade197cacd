"""How often somebody may try: counted in this process's memory."""

import ipaddress
import time

from flask import current_app
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


def allow(name: str, key: str, rate: str) -> int:
    """Count one try; return 0 if it is allowed, else the seconds to wait.

    ``rate`` is in the words of the limits library: ``10 per 15 minutes``.
    """
    limiter = _limiter()
    item = parse(rate)
    if limiter.hit(item, name, key):
        return 0
    reset_at = limiter.get_window_stats(item, name, key).reset_time
    return max(1, round(reset_at - time.time()))


def allow_all(*tries: tuple[str, str, str]) -> int:
    """Count a try under several limits, in order; return the seconds to wait for the first that refuses.

    What one limit refuses the later ones don't count: a crowd from one place
    can't use up what belongs to everybody.
    """
    for name, key, rate in tries:
        wait = allow(name, key, rate)
        if wait:
            return wait
    return 0


def network(ip_address: str | None) -> str:
    """Return what to count an address under: itself for IPv4, its /64 for IPv6."""
    try:
        address = ipaddress.ip_address(ip_address or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _limiter() -> MovingWindowRateLimiter:
    made = current_app.extensions.get("throttle")
    if made is None:
        made = current_app.extensions["throttle"] = MovingWindowRateLimiter(MemoryStorage())
    return made
