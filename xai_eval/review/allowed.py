"""Which requests are answered: those of the person who was given the address, and of no other page or machine."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

# A decision on 10,000 cases takes 2 MiB.
MOST_BYTES = 4 * 2**20
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_FOREIGN = "Decisions are taken from the served page alone, not from a page of another site."


@dataclass(frozen=True)
class Address:
    """Where the page is served: the port, and the secret word that is part of the path."""

    port: int
    token: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names under which a browser on this machine may call it."""
        return tuple(f"{name}:{self.port}" for name in _NAMES)


@dataclass(frozen=True)
class Asked:
    """What a request says. Headers that may be repeated have all of their values.

    Attributes:
        path: the path as it was sent, with what follows a question mark.
        hosts: the values of `Host`.
        origins: those of `Origin`.
        sites: those of `Sec-Fetch-Site`, which browsers send.
        kinds: those of `Content-Type`.
        lengths: those of `Content-Length`.
        encodings: those of `Transfer-Encoding`.
    """

    path: str
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    sites: Sequence[str] = ()
    kinds: Sequence[str] = ()
    lengths: Sequence[str] = ()
    encodings: Sequence[str] = ()


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered, with the status of HTTP."""

    status: int
    sentence: str


def page_of(asked: Asked, address: Address) -> str | Refusal:
    """Return what is asked for, as the path behind the token; or why it is refused.

    `Host` must name this machine: a page of another site whose name was made to lead here (DNS rebinding) sends its own
    name.
    """
    if len(asked.hosts) != 1 or asked.hosts[0].lower() not in address.hosts:
        return Refusal(403, "This page is served under the address that the terminal shows, and under no other name.")
    first, slash, rest = asked.path.partition("?")[0].removeprefix("/").partition("/")
    known = hmac.compare_digest(first.encode(), address.token.encode())  # as slow for a word that is almost right
    if not (known and slash and asked.path.startswith("/")):
        return Refusal(404, "Nothing is here. Use the whole address that the terminal shows.")
    return rest


def length_of(asked: Asked) -> int | Refusal:
    """Return how many bytes a decision has that a page of this server sends; or why it is refused.

    A browser names in `Origin` the page that sends a request. Only the page that is served here is believed.
    """
    same = [f"http://{host}".lower() for host in asked.hosts]
    if [each.lower() for each in asked.origins] != same or any(each != "same-origin" for each in asked.sites):
        return Refusal(403, _FOREIGN)
    if [each.partition(";")[0].strip().lower() for each in asked.kinds] != ["application/json"]:
        return Refusal(415, "A decision is sent as JSON.")
    digits = asked.lengths[0] if len(asked.lengths) == 1 else ""
    if asked.encodings or not (digits.isascii() and digits.isdigit()):
        return Refusal(411, "A decision says once how long it is.")
    # The number of digits is looked at first: to read very many of them takes long.
    if len(digits) > len(str(MOST_BYTES)) or int(digits) > MOST_BYTES:
        return Refusal(413, f"A decision has at most {MOST_BYTES >> 20} MiB. Decide on fewer cases at once.")
    return int(digits)
