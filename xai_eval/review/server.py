"""The server of a review: on loopback alone, for who knows the address, and for as long as the terminal waits."""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from xai_eval.disk.door import read_bytes, require_no_links
from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError
from xai_eval.report.further_pages import CASES_FILE
from xai_eval.report.images_beside import FOLDER
from xai_eval.report.text.commands import PAGE_FILE
from xai_eval.report.text.unexpected import unexpected
from xai_eval.review.allowed import Address, Asked, Refusal, length_of, page_of
from xai_eval.review.decision import read_decision
from xai_eval.review.desk import Desk

_LOOPBACK = (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6))
_SECONDS = 10  # for a browser that connects and says nothing
_OWN = {"review.js": "text/javascript; charset=utf-8", "review.css": "text/css; charset=utf-8"}
_IMAGES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}
# One folder below that of the run, and no name that begins with a dot.
_IMAGE = re.compile(r"[\w-]{1,64}/[\w-][\w.+-]{0,250}\.(png|jpe?g|webp)", re.ASCII)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PLAIN, _JSON, _PAGE = "text/plain; charset=utf-8", "application/json", "text/html; charset=utf-8"
_NOTHING = Refusal(404, "Nothing is here.")
_CUT_SHORT = Refusal(400, "The decision did not arrive whole. Decide again.")
_Given = TypeVar("_Given", str, bytes)


@dataclass(frozen=True)
class _Answer:
    """A status of HTTP, what kind of text follows, and the text."""

    status: int
    kind: str
    body: bytes


class ReviewServer(ThreadingHTTPServer):
    """Serves one desk. Threads are for browsers that connect in advance and wait; the desk does one thing at a time.

    Attributes:
        desk: what is served.
        tell: prints a sentence at the terminal.
        token: a random word in the address.
    """

    daemon_threads = True
    allow_reuse_address = False  # or another program could take the port over on Windows

    def __init__(self, desk: Desk, tell: Callable[[str], None], place: str, family: socket.AddressFamily) -> None:
        self.desk, self.tell, self.token = desk, tell, secrets.token_urlsafe(32)
        self.address_family = family
        super().__init__((place, 0), _Handler)

    @property
    def address(self) -> Address:
        """Where this server is, and the token."""
        return Address(int(self.server_address[1]), self.token)

    @property
    def url(self) -> str:
        """The address to open in a browser of this machine."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.address.port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away; what a decision could not do is told to the page that sent it."""


def open_server(desk: Desk, tell: Callable[[str], None]) -> ReviewServer:
    """Open the server of a desk on a free port of loopback, and on no other address.

    Raises:
        InputUnavailable: this machine has no loopback.
    """
    for place, family in _LOOPBACK:
        try:
            return ReviewServer(desk, tell, place, family)
        except OSError:
            continue
    raise InputUnavailable("this machine has neither 127.0.0.1 nor ::1 to serve a page. Use xai-eval accept.")


class _Handler(BaseHTTPRequestHandler):
    """Answers one request. A GET changes nothing."""

    server: ReviewServer
    timeout = _SECONDS
    server_version, sys_version = "xai-eval", ""

    def do_GET(self) -> None:
        """Send the page, what belongs to it, or why not."""
        page = page_of(self._asked, self.server.address)
        self._send(self._refused(page) if isinstance(page, Refusal) else self._answered(self._got, page))

    def do_POST(self) -> None:
        """Carry out a decision, and say what was done, or why not."""
        page, length = page_of(self._asked, self.server.address), length_of(self._asked)
        if isinstance(page, Refusal):
            self._send(self._refused(page))
        elif isinstance(length, Refusal):
            self._send(self._refused(length))
        else:
            body = self.rfile.read(length)
            refusal = _NOTHING if page != "decide" else _CUT_SHORT if len(body) < length else None
            self._send(self._refused(refusal) if refusal else self._answered(self._decided, body))

    @cached_property
    def _asked(self) -> Asked:
        names = ("Host", "Origin", "Sec-Fetch-Site", "Content-Type", "Content-Length", "Transfer-Encoding")
        return Asked(self.path, *(list(map(str, self.headers.get_all(name, []))) for name in names))

    def _answered(self, answer: Callable[[_Given], _Answer], given: _Given) -> _Answer:
        """Return an answer. An error that nobody expected is told to the browser and at the terminal."""
        try:
            return answer(given)
        except Exception as error:
            told = unexpected(error)
            self.server.tell(f"xai-eval: error: {told}")
            return self._refused(Refusal(500, f"{told} What was decided may be done or not: reload the page."))

    def _got(self, page: str) -> _Answer:
        if page in _OWN:
            return _Answer(200, _OWN[page], read_bytes(Path(__file__).parent / page))
        if "/" in page:
            return self._image(page)
        try:
            found = self.server.desk.page(page or PAGE_FILE)
        except XaiEvalError as error:
            return self._refused(Refusal(503, str(error)))
        if found is None:
            return self._refused(_NOTHING)
        return _Answer(200, _OWN["review.js"] if page == CASES_FILE else _PAGE, found)

    def _image(self, page: str) -> _Answer:
        """Return an image of the report. It is only shown: a browser runs nothing of a file of this kind."""
        found, results = _IMAGE.fullmatch(page), self.server.desk.results
        if found is None:
            return self._refused(_NOTHING)
        if page.startswith(f"{FOLDER}/"):
            drawn = self.server.desk.images.get(page.removeprefix(f"{FOLDER}/"))
            return self._refused(_NOTHING) if drawn is None else _Answer(200, _IMAGES[found[1]], drawn)
        try:
            require_no_links(results, (results / page).parent)
            return _Answer(200, _IMAGES[found[1]], read_bytes(results / page))
        except OSError:
            return self._refused(_NOTHING)

    def _decided(self, body: bytes) -> _Answer:
        try:
            decided = self.server.desk.decide(read_decision(body))
        except UsageError as error:
            return _document(409, {"error": str(error)})
        except XaiEvalError as error:
            return _document(503, {"error": str(error)})
        self.server.tell(f"xai-eval: {decided.sentence}: {', '.join(decided.keys)}")
        return _document(200, {"sentence": decided.sentence, "keys": decided.keys})

    def _refused(self, refusal: Refusal) -> _Answer:
        if self.command == "POST":
            return _document(refusal.status, {"error": refusal.sentence})
        return _Answer(refusal.status, _PLAIN, refusal.sentence.encode())

    def _send(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        policy = (
            "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline' 'self'; connect-src 'self'; "
            f"script-src 'nonce-{self.server.desk.nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        length = str(len(answer.body))
        headers = {"Content-Type": answer.kind, "Content-Length": length, "Content-Security-Policy": policy}
        for name, value in {**headers, **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the name that http.server gives it)
        """Print nothing: the address, which a log would hold, is secret."""


def _document(status: int, document: Any) -> _Answer:
    return _Answer(status, _JSON, json.dumps(document).encode())
