"""What must not be in the bytes that came out, by the rules of each medium; nothing of the package is used here.

Every function returns what is wrong, in words; nothing if all is well.
"""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from xml.etree import ElementTree

from markdown_it import MarkdownIt

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_WITHOUT_INK = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0"
_LONGEST_LINE = 60_000
# As the services look for their commands: GitHub's runner, Azure's agent, GitLab, TeamCity, Buildkite, Travis.
_SERVICES = {
    "GitHub": r"^\s*::(?!error title=xai-eval::\d* ?(no )?cases?)[^\s:]",
    "GitHub, named": r"(?i)::(error|warning|notice|debug|group|endgroup|stop-commands|set-output|add-mask|echo)\b"
    r"(?<!^::error)(?! title=xai-eval)",
    "GitHub and Azure": r"##\[",
    "Azure": r"(?i)##vso\[",
    "TeamCity": r"(?i)##teamcity\[",
    "GitLab": r"(?i)section_(start|end):",
    "Travis": r"(?i)travis_(fold|time):",
    "Buildkite": r"^\s*(---|\+\+\+|~~~|\^\^\^ \+\+\+)(?! Captured)",
}
# Lines that pytest draws itself.
_DRAWN = re.compile(r"[-=_]{3,}( .* )?[-=_]*")


def hidden(text: str, allowed: str = "\n") -> Iterator[str]:
    """Find characters that nobody sees."""
    for each in sorted(set(text) - set(allowed)):
        if unicodedata.category(each) in _HIDDEN or each in _WITHOUT_INK or "\ufe00" <= each <= "\ufe0f":
            yield f"the hidden character {each!r}"
    if re.search("[\u0321\u0335\u0489]{9}", text):
        yield "a heap of marks"


def terminal(text: str, *, of_pytest: bool = False) -> Iterator[str]:
    """Find what moves the cursor, and what a CI service obeys."""
    yield from hidden(text, "\n\t")
    for line in re.split(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", text):
        if of_pytest and _DRAWN.fullmatch(line):
            continue
        for service, rule in _SERVICES.items():
            if re.search(rule, line):
                yield f"a command of {service}: {line[:120]!r}"
        if len(line) > _LONGEST_LINE:
            yield f"a line of {len(line)} characters"


_OWN_TAGS = {"h2", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code"}


def markdown(text: str, own_tags: set[str] = _OWN_TAGS) -> Iterator[str]:
    """Find markup, and what GitHub makes of the text after it read the markup."""
    yield from hidden(text)
    if len(text.encode()) > 2**20:
        yield "more than 1 MiB"
        return
    page = _Page()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    for tag, attributes in page.tags:
        if tag not in own_tags or any(name != "style" for name in attributes):
            yield f"the tag {tag} {attributes}"
    for shown, within in page.texts:
        if "code" not in within:
            yield from _linked(shown)
    # A renderer drops cells that are too many, so they are counted here: a bar behind a backslash ends none.
    widths = {re.sub(r"\\.", "", row).count("|") for row in text.split("\n") if row.startswith("|")}
    if len(widths) > 1:
        yield f"rows of {sorted(widths)} bars"


_LINKED = {
    "a mention": r"(?<![A-Za-z0-9_`])@[A-Za-z0-9]|[\w.+-]+@[\w-]+\.\w",
    "an address": r"(?i)\b(https?|ftp)://|\bwww\.\w|(mailto|xmpp):\S",
    "an issue": r"(?<![&\w])[#!]\d|(?i:\bGH-\d)|\w#\d",
    "a commit": r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b",
}


def _linked(shown: str) -> Iterator[str]:
    for what, rule in _LINKED.items():
        found = re.search(rule, shown)
        if found:
            yield f"{what}: {found[0]!r} in {shown[:120]!r}"


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, tuple[str, ...]]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br", "meta", "input", "link", "hr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        self.texts.append((data, tuple(self._open)))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("!--", {}))


_PAGE_TAGS = (
    "html head meta title style body header h1 h2 h3 h4 p div ul ol li a span strong nav section table caption thead "
    "tbody tr th td dl dt dd time code main form fieldset legend label input select option button output details "
    "summary article figure figcaption img small abbr datalist script br kbd template dialog"
)


def page(text: str) -> Iterator[str]:
    """Find elements and attributes that the page does not have, and scripts that are not its own."""
    yield from hidden(text, "\n\t")
    if len(text.encode()) > 4 * 2**20:
        yield f"a page of {len(text.encode())} bytes"
    found = _Page()
    found.feed(text)
    scripts = [shown for shown, within in found.texts if "script" in within]
    if len(scripts) != 1 or "alert" in scripts[0]:
        yield f"{len(scripts)} scripts"
    for tag, attributes in found.tags:
        names = [name for name in attributes if name.startswith("on") or name in ("srcdoc", "action", "formaction")]
        if tag not in _PAGE_TAGS.split() or names:
            yield f"the tag {tag} with {names}"
        for name in ("src", "href"):
            value = attributes.get(name) or ""
            if name in attributes and not re.match(r"(data:image/|#)", value):
                yield f"{tag} leads to {value[:80]!r}"
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    links = [(attributes["href"] or "")[1:] for tag, attributes in found.tags if tag == "a" and "href" in attributes]
    if not set(links) <= set(ids):
        yield f"links that lead nowhere: {sorted(set(links) - set(ids))[:3]}"


def xml(text: str) -> Iterator[str]:
    """Parse it, and look at what a log would show of it."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        yield f"no XML: {error}"
        return
    for element in root.iter():
        for value in element.attrib.values():
            yield from hidden(value, "\n\t")


_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"


def spreadsheet(text: str) -> Iterator[str]:
    """Find cells that a program for spreadsheets computes, whatever it takes for a separator."""
    yield from hidden(text, "\n\t")
    rows = list(csv.reader(io.StringIO(text), strict=True))
    if len({len(row) for row in rows}) > 1:
        yield f"rows of { ({len(row) for row in rows}) } cells"
    for cell in (cell for row in rows for cell in row):
        for part in re.split(r"[;\t\n]", cell):
            computed = re.match(r"[\s\"']*[=+\-@\uff1d\uff0b\uff0d\uff20]", part) and not part.startswith("'")
            if computed and not re.fullmatch(_NUMBER, cell, re.IGNORECASE):
                yield f"a formula: {cell[:80]!r}"
        if cell[:1] in ("\t", "\r"):
            yield f"a cell that begins with {cell[:1]!r}"


_LATEX_OWN = (
    r"\\(begin\{(tabular|longtable)\}\{([lr]|p\{3\.5cm\})+\}|shortstack\[[lr]\]|footnotesize|"
    r"setlength\{\\tabcolsep\}|(begin|end)group|begin\{table\}|end\{(tabular|longtable|table)\}|(top|mid|bottom)rule|"
    r"centering|caption|label\{tab:[\w-]+\}|end(first)?head|space|"
    r"text(backslash|asciitilde|asciicircum)|[&%$#_{}\\])"
)


def latex(text: str) -> Iterator[str]:
    """Find commands, and characters with a meaning, besides those of a table."""
    yield from hidden(text)
    rest = re.sub(_LATEX_OWN, "", text)
    for each in sorted(set(re.findall(r"[\\%$#_^~]", rest))):
        yield f"{each} in LaTeX"
    if re.search(r"(?m)(\\\\|rule)\n[\[*]", text):
        yield "an option of a row"


def json_text(text: str) -> Iterator[str]:
    """Parse it, and look at it as a log would."""
    json.loads(text)
    yield from terminal(text)


# What a shell takes as it is: in single quotes, in $'...', and in double quotes where nothing is replaced.
_QUOTED = re.compile(r"\$'(?:[^'\\]|\\.)*'|'[^']*'|\"[^\"$`\\]*\"")
_WILD = re.compile(r"[;&|()<>$`'\"\\*?\[\]!\n\x00-\x1f]|(?<!\S)[~#=]")


def commands(text: str) -> Iterator[str]:
    """Find commands to copy that a shell would take for more than one command, or for unfinished ones."""
    for found in re.finditer(r"xai-eval (?:accept|explain-drift|run|check) [^\n]*", text):
        if found[0].startswith("xai-eval accept CASE") or text[: found.start()].endswith("usage: "):
            continue  # words that nobody copies
        in_quotes = text[: found.start()].endswith("`")  # within a sentence, or as code in Markdown
        whole = found[0].rpartition("`")[0] if in_quotes else found[0]
        wild = _WILD.search(_QUOTED.sub("word", whole))
        if wild:
            yield f"{wild[0]!r} outside of quotes in {whole[:160]!r}"
