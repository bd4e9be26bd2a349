"""Who does not know the address, is another page, or is no person: nothing is shown and nothing is changed."""

import json
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.review.allowed import MOST_BYTES, Address, Asked, Refusal, length_of, page_of
from xai_eval.review.server import _LOOPBACK, _Handler

ADDRESS = Address(8123, "t" * 43)
GOOD = Asked(f"/{ADDRESS.token}/decide", ["127.0.0.1:8123"], ["http://127.0.0.1:8123"], [], ["application/json"], ["7"])


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def unchanged(place):
    before = contents(place.reports.parent)
    yield
    assert contents(place.reports.parent) == before


WORDS = st.text(st.characters(max_codepoint=255), max_size=60)
HOSTS = st.one_of(
    st.sampled_from(["evil.example:8123", "127.0.0.1", "127.0.0.1:8124", "127.0.0.1.evil.example:8123", "[::1]:8123 "]),
    WORDS,
)


@given(host=HOSTS, twice=st.booleans())
def test_no_other_host_is_answered(host, twice):
    hosts = [host, GOOD.hosts[0]] if twice else [host]
    if hosts[0].lower() not in ADDRESS.hosts:
        assert isinstance(page_of(Asked(GOOD.path, hosts), ADDRESS), Refusal)


@given(token=st.one_of(WORDS, st.sampled_from(["t" * 42, "t" * 44, "T" * 43, ""])), rest=WORDS)
def test_no_other_token_is_answered(token, rest):
    if token.partition("/")[0].partition("?")[0] != ADDRESS.token:
        assert isinstance(page_of(Asked(f"/{token}/{rest}", GOOD.hosts), ADDRESS), Refusal)


FOREIGN = [
    "null",
    "http://evil.example",
    "https://127.0.0.1:8123",
    "http://127.0.0.1",
    "http://localhost:8123",
    "file://",
]


@given(origins=st.lists(st.one_of(st.sampled_from(FOREIGN), WORDS, st.just(GOOD.origins[0])), max_size=2))
def test_no_other_origin_decides(origins):
    if origins != list(GOOD.origins):
        assert isinstance(length_of(Asked(GOOD.path, GOOD.hosts, origins, [], GOOD.kinds, GOOD.lengths)), Refusal)


@given(site=WORDS, kind=WORDS, length=st.one_of(WORDS, st.integers().map(str), st.just("9" * 5000)))
def test_other_headers_are_refused_and_never_crash(site, kind, length):
    assert length_of(GOOD) == 7
    if site != "same-origin":
        assert isinstance(length_of(Asked(GOOD.path, GOOD.hosts, GOOD.origins, [site], GOOD.kinds, ["7"])), Refusal)
    if kind.partition(";")[0].strip().lower() != "application/json":
        assert isinstance(length_of(Asked(GOOD.path, GOOD.hosts, GOOD.origins, [], [kind], ["7"])), Refusal)
    found = length_of(Asked(GOOD.path, GOOD.hosts, GOOD.origins, [], GOOD.kinds, [length]))
    assert isinstance(found, Refusal) or 0 <= found <= MOST_BYTES


def test_the_server_is_on_loopback_alone_and_no_option_changes_that(call):
    assert [place for place, _ in _LOOPBACK] == ["127.0.0.1", "::1"]
    assert call.server.server_address[0] == "127.0.0.1"
    for address in own_addresses():
        with pytest.raises(OSError):
            socket.create_connection((address, call.server.address.port), timeout=2)


def own_addresses():
    """Those beside loopback; a machine without a network may not even know its own name."""
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except socket.gaierror:
        return set()
    return {each[4][0] for each in found if not each[4][0].startswith("127.")}


def secret(call, content):
    return call.server.token.encode() in content or b"photos/" in content or b"review-document" in content


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/{T}/", "/{t}", "/{s}/", "http://127.0.0.1/{t}/", "/x/../{t}/", "/%74{s}/"]
)
def test_without_the_token_nothing_is_shown(call, unchanged, path):
    token = call.server.token
    status, content, _ = call.ask(path=path.format(t=token, T=token.swapcase(), s=token[1:]))
    assert status == 404 and not secret(call, content)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost", "", None, ["{h}", "evil.example"]])
def test_under_another_name_nothing_is_shown(call, unchanged, host):
    """DNS rebinding: a page of evil.example, whose name was made to lead to 127.0.0.1, even if it knew the token."""
    given = [each.format(h=call.host) for each in host] if isinstance(host, list) else host
    status, content, _ = call.ask(Host=given)
    assert status == 403 and not secret(call, content)


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Length": None, "Transfer_Encoding": "chunked"}, 411),
        ({"Content_Length": None}, 411),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": str(MOST_BYTES + 1)}, 413),
        ({"Content_Length": "9" * 5000}, 413),
        ({"Host": "evil.example"}, 403),
    ],
    ids=str,
)
def test_a_page_of_another_site_decides_nothing(place, call, unchanged, headers, status):
    assert call.send(call.decision(), **headers)[0] == status
    assert call.told == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_a_post_decides(call, unchanged, method):
    body = json.dumps(call.decision()).encode()
    headers = {"Origin": f"http://{call.host}", "Content_Type": "application/json", "Content_Length": str(len(body))}
    assert call.ask(method, call.base + "decide", body, **headers)[0] in (404, 501)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"kind":"accept"}', b"[" * 100_000, b'{"a":1,"a":2}', b"\xff"]
)
def test_a_body_that_is_no_decision_is_told_so(call, unchanged, body):
    status, answer = call.send(body)
    assert status == 409 and "this is no decision" in answer["error"]


def test_decisions_go_to_one_place(call, unchanged):
    for path in ("", "decide/", "../decide", "index.html"):
        assert call.send(call.decision(), path=call.base + path)[0] == 404


@pytest.fixture
def pieces(place):
    """Files beside the page that belong to nobody who looks at it, and one image of the report."""
    figures = place.reports / "figures"
    figures.mkdir()
    (figures / "fine.png").write_bytes(b"image")
    (place.reports.parent / "secret.png").write_bytes(b"secret")
    (place.reports / "secret.png").write_bytes(b"secret")
    (figures / ".hidden.png").write_bytes(b"secret")
    (figures / "page.svg").write_bytes(b"secret")
    (figures / "page.html").write_bytes(b"secret")
    (figures / "link.png").symlink_to(place.reports.parent / "secret.png")
    (place.reports / "linked").symlink_to(place.reports.parent)
    (figures / "folder.png").mkdir()
    os.mkfifo(figures / "fifo.png")
    return place


@pytest.mark.parametrize(
    "path",
    [
        *("../secret.png", "figures/../../secret.png", "figures/../secret.png", "..%2fsecret.png", "%2e%2e/secret.png"),
        *("figures/%2e%2e/%2e%2e/secret.png", "figures//../secret.png", "/etc/passwd", "//etc/passwd", "secret.png"),
        *("figures/.hidden.png", "figures/page.svg", "figures/page.html", "figures/link.png", "linked/secret.png"),
        *(
            "figures/folder.png",
            "figures/fifo.png",
            "run.json",
            "results/run.json",
            "figures/fine.png/",
            "figures\\\\fine.png",
        ),
        *("figures/fine.png%00.png", "server.py", "../review/server.py", "figures/" + "a" * 400 + ".png", "figures"),
    ],
)
def test_only_images_of_the_report_are_served(pieces, call, path):
    status, content, _ = call.ask(path=call.base + path)
    assert status == 404 and content == b"Nothing is here."


def test_an_image_of_the_report_is_served_as_an_image_only(pieces, call):
    status, content, answer = call.ask(path=call.base + "figures/fine.png")
    assert (status, content, answer.getheader("Content-Type")) == (200, b"image", "image/png")
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert "default-src 'none'" in answer.getheader("Content-Security-Policy")


def test_the_page_runs_no_script_but_its_own_and_is_in_no_frame(call, unchanged):
    status, page, answer = call.ask()
    policy = answer.getheader("Content-Security-Policy")
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert status == 200 and "frame-ancestors 'none'" in policy and "form-action 'none'" in policy
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]
    assert page.count(f'nonce="{nonce}"'.encode()) == 2
    assert answer.getheader("Cache-Control") == "no-store"


def test_a_stranger_who_sends_rubbish_does_not_stop_the_server(call, monkeypatch):
    monkeypatch.setattr(_Handler, "timeout", None)  # whoever says nothing is waited for
    for rubbish in (
        b"\x00" * 10,
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", call.server.address.port)) as stranger:
            stranger.sendall(rubbish)
    idle = socket.create_connection(("127.0.0.1", call.server.address.port))
    assert call.ask()[0] == 200
    idle.close()


def test_a_page_on_disk_is_not_believed(place, call):
    """The page that came with a run may be a stranger's, with a script that presses the buttons: it is drawn anew."""
    (place.reports / "index.html").write_text("<script>fetch('decide')</script>")
    assert b"fetch('decide')" not in call.ask()[1]
    assert (place.reports / "index.html").read_text() == "<script>fetch('decide')</script>"


def test_images_for_which_the_page_has_no_room_are_those_that_were_drawn(place, call, monkeypatch):
    """A file of the same name beside the page may be a stranger's."""
    monkeypatch.setattr("xai_eval.report.page.page.images_beside", lambda cases: {each.key for each in cases})
    page = call.ask()[1].decode()
    name = page.split('src="page-images/')[1].split('"')[0]
    (place.reports / "page-images").mkdir()
    for each in (name, "0" * 32 + ".png"):
        (place.reports / "page-images" / each).write_bytes(b"of a stranger")
    status, content, _ = call.ask(path=f"{call.base}page-images/{name}")
    assert status == 200 and content[:2] in (b"\xff\xd8", b"\x89P")
    assert call.ask(path=f"{call.base}page-images/{'0' * 32}.png")[0] == 404


def test_an_error_that_nobody_expected_is_told_in_the_browser_and_at_the_terminal(call, unchanged, monkeypatch, capsys):
    """The server's own way is to say nothing, as if a browser had gone away."""
    decision = call.decision()
    for name in ("accept", "report_pages"):
        monkeypatch.setattr(f"xai_eval.review.desk.{name}", lambda *given, **options: [][1])
    status, answer = call.send(decision)
    assert status == 500 and "IndexError" in answer["error"]
    assert call.ask()[0] == 500
    assert all("unexpected IndexError" in each for each in call.told) and len(call.told) == 2
    assert "Traceback" in capsys.readouterr().err


def test_half_a_decision_is_none(call, unchanged):
    body = json.dumps(call.decision()).encode() + b" "
    request = f"POST {call.base}decide HTTP/1.1\r\nHost: {call.host}\r\nOrigin: http://{call.host}\r\n"
    head = f"{request}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", call.server.address.port), timeout=5) as browser:
        browser.sendall(head.encode() + body[:-1])
        browser.shutdown(socket.SHUT_WR)
        assert b" 400 " in browser.makefile("rb").readline()
