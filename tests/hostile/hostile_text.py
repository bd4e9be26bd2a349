"""Texts that a stranger may choose: names of classes, images, models, tasks and concepts, reasons, errors.

Each holds what some medium would obey. `texts()` builds others from the same parts.
"""

from __future__ import annotations

from hypothesis import strategies as st

_GITHUB = (
    "::error file=a,line=1::owned",
    "::stop-commands::x",
    "::set-output name=a::b",
    "::add-mask::a",
    "  ::warning::indented",
    "\u00a0::debug::behind a wide space",
    "cat ##[error]in the middle",
    "##[command]rm",
    "x\r::notice::behind a return",
    "x\n::group::behind an end",
    "x\x0b::endgroup::\x0c::echo::on",
    "x\u2028::error::\u2029::error::\x85::error::",
    ":\u200b:error::joined",
    "::ErRoR::capitals",
    "tests/a.py::warning::x",
    ":::error::three",
)
_OTHER_CI = (
    "##vso[task.setvariable variable=x]y",
    "a ##VSO[task.complete result=Succeeded]",
    "##teamcity[testStarted name='x']",
    "section_start:1:x\r\x1b[0Kfolded",
    "x section_end:1:x",
    "travis_fold:start:x",
    "--- heading",
    "+++ open",
    "~~~ muted",
    "^^^ +++",
    "###[group]three",
)
_TERMINAL = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]0;title\x07",
    "\x9b31mred",
    "\x9d0;title\x9c",
    "a\x08\x08b\x00c\x7f",
    "over\rwritten",
    "\u202egpj.exe\u202c",
    "\u2066a\u2069\u200e\u200f\u061c",
    "zero\u200bwidth\u200djoined\ufeff\u2060\u00ad",
    "\u3164\u115f\uffa0\u034f\u2800",
    "a\ufe00\ufe0f\U000e0101hidden",
    "\U000e0041\U000e0042tags",
    "z" + "\u0335\u0321\u0489" * 40,
    "\udce9half",
    "\uffff\ufffe\U0010ffff",
    "日本 naïve ﷽ 🎉",
    "12 cases: 12 ok\npage: nowhere",
)
_MARKUP = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "<!-- <b> --> ]]> &lt; &#x3c;",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "a|b|c",
    "\\|a\\\\|b",
    "`code` ```` ` ````",
    "[text](http://evil.example) ![i](http://evil.example/x.png)",
    "@everyone @org/team mail a@b.example",
    "http://evil.example https://evil.example www.evil.example ftp://x",
    "#1 GH-1 owner/repo#2 !3 deadbeef deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    "**bold** _it_ ~~del~~ $x$ $$y$$ :tada:",
    "# heading\n> quote\n- [ ] item\n***\n<details>",
    "&amp; &copy; <a href=x>",
)
_TABLES = (
    "=1+1",
    '=HYPERLINK("http://evil.example","x")',
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "a;=1+1",
    '"=1+1',
    "\uff1d1+1",
    " =1+1",
    "a\n=1",
    "-1.5",
    "\\input{/etc/passwd} \\write18{id}",
    "$x$ % comment & # _ ^^5c {",
    "[x] *",
    "$\\frac{1}{$ $\\undefined$ $",
    "_hidden $a$",
    "$\\undefined{$",
    "$\\undefined{$",
)
_SHELL = (
    "x;touch PWN #",
    "$(touch PWN)",
    "`touch PWN`",
    "a'b\"c",
    "-rf",
    "--reason=x",
    "a b  c",
    "a\nb",
    "!!",
    "~root/*?[a]",
    "=ls",
    "a\\",
    "%PATH% ^& | > out",
)
_LONG = ("long " * 1_000, "@" * 1_000, "\U000e0001" * 1_000)

TEXTS = (*_GITHUB, *_OTHER_CI, *_TERMINAL, *_MARKUP, *_TABLES, *_SHELL, *_LONG)

_TOKENS = (
    *":#[]<>&|`@$%=+-~^!;'\"\\/*_{}(),.0a",
    *" \n\r\t\x0b\x0c\x1b\x00\x07\x08\x7f\x85\x9b\x9d\u00a0\u00ad\u200b\u200d\u2028\u2029",
    *"\u202e\u2066\ufeff\u3164\ufe0f\U000e0041\udce9é日",
    *("::", "##[", "##vso[", "##teamcity[", "section_start:", "---", "+++", "error", "warning", "group", "\x1b[31m"),
    *("\x1b]8;;", "http://", "www.", "@a", "#1", "GH-", "deadbeef", "<b", "</script>", "=1", "\\frac", "-1.5"),
)


def texts() -> st.SearchStrategy[str]:
    """Texts of the dangerous characters and tokens, in any order."""
    return st.lists(st.sampled_from(_TOKENS), min_size=1, max_size=14).map("".join)
