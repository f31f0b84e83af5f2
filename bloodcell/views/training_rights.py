"""Who may start a training, and pause, stop or delete one: a setting of whoever runs the dashboard."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

SETTING = "BLOODCELL_TRAINING"
RULES = ("local", "everyone", "off")
DEFAULT_RULE = "local"
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")
_NAMES_OF_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Rights:
    """Whether this viewer may train here, and why not.

    Attributes:
        allowed: Whether the viewer may start, pause, stop and delete trainings.
        reason: A sentence for a viewer who may not; empty otherwise.
    """

    allowed: bool
    reason: str = ""


def find_rights(address: str | None, headers: Mapping[str, str]) -> Rights:
    """Return what a viewer may do.

    Args:
        address: The viewer's IP address as Streamlit gives it: None for the machine that the dashboard runs on.
        headers: Headers of the viewer's connection. One that a proxy passed on comes from the proxy's address, so its
            sender is not known to sit at this machine. Not every proxy says that it is one, nor does a page elsewhere
            whose name leads here; but the name that the browser asked for stands in Host, or in Origin where a proxy
            writes a Host of its own.
    """
    rule = os.environ.get(SETTING, "").strip().lower() or DEFAULT_RULE
    if rule == "everyone":
        return Rights(True)
    if rule == "off":
        return Rights(False, "Whoever runs this dashboard has switched trainings off; you can watch those that ran.")
    if rule != "local":
        return Rights(
            False,
            f"{SETTING} is {rule!r}, and this program knows {', '.join(RULES)}: nobody may train until it is one.",
        )
    if _is_this_machine(address) and _asks_this_machine({name.lower(): value for name, value in headers.items()}):
        return Rights(True)
    return Rights(
        False,
        "You watch from another machine, or by another address than localhost. Trainings are started at the machine "
        "that runs this dashboard, opened there as localhost; "
        f"whoever runs it can let everyone start them with {SETTING}=everyone.",
    )


def _asks_this_machine(headers: Mapping[str, str]) -> bool:
    """Return whether the browser asked for this machine by name; headers have lower-case names."""
    if any(name in headers for name in _FORWARDED):
        return False
    asked = [f"//{headers.get('host', '')}", *([headers["origin"]] if "origin" in headers else [])]
    return all(_find_host(address) in _NAMES_OF_THIS_MACHINE for address in asked)


def _find_host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_this_machine(address: str | None) -> bool:
    if address is None:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
