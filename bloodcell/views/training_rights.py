"""Who may start a training, and pause, stop or delete one: a setting of whoever runs the dashboard."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass

SETTING = "BLOODCELL_TRAINING"
RULES = ("local", "everyone", "off")
DEFAULT_RULE = "local"
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


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
            sender is not known to sit at this machine.
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
    if _is_this_machine(address) and not any(name in _FORWARDED for name in map(str.lower, headers)):
        return Rights(True)
    return Rights(
        False,
        "You watch from another machine. Trainings are started at the machine that runs this dashboard; "
        f"whoever runs it can let everyone start them with {SETTING}=everyone.",
    )


def _is_this_machine(address: str | None) -> bool:
    if address is None:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
