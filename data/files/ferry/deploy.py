"""Moves every server to a release, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """A server, and whether it is well."""

    name: str
    address: str
    is_well: Callable[[], bool]


class NotWell(Exception):
    """A server did not come back; those after it were left as they were."""


def deploy(servers: Sequence[Server], release: Path, wait_seconds: float = 30.0) -> None:
    """Links each server to a release; stops at the first that is not well afterwards.

    Raises:
        NotWell: A server did not answer in time. Its link was moved back.
    """
    for server in servers:
        before = link_to(server, release)
        if not wait_for(server, wait_seconds):
            link_to(server, before)
            raise NotWell(f"{server.name} did not come back within {wait_seconds:.0f} s; its release is {before.name}.")


def wait_for(server: Server, seconds: float) -> bool:
    """Whether a server becomes well in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.is_well():
            return True
        time.sleep(0.2)
    return False


def link_to(server: Server, release: Path) -> Path:
    """Moves a server's link, in one step; gives the release that it showed before."""
    link = Path("/srv") / server.name / "live"
    before = link.resolve()
    fresh = link.with_suffix(".new")
    fresh.symlink_to(release)
    fresh.replace(link)
    return before


def roll_back(servers: Sequence[Server], releases: Path, wait_seconds: float = 30.0) -> Path:
    """Moves every server to the release before the one that the first of them shows; gives that release.

    Raises:
        NotWell: A server did not answer in time.
        LookupError: There is no release before.
    """
    live = (Path("/srv") / servers[0].name / "live").resolve()
    older = [each for each in releases.iterdir() if each.name.isdigit() and int(each.name) < int(live.name)]
    if not older:
        raise LookupError(f"There is no release before {live.name}.")
    before = max(older, key=lambda each: int(each.name))
    deploy(servers, before, wait_seconds)
    return before
