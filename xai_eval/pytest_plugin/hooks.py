"""The hooks of the pytest plugin: options, markers, the fixture `xai_golden`, and the summary at the end."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xai_eval.gate.verdict import Verdict
    from xai_eval.pytest_plugin.session import GoldenSession
    from xai_eval.pytest_plugin.suite import XaiCase
    from xai_eval.result.result import Result

_MARKERS = (
    "xai: a test of an explanation against its golden",
    "gpu: the full evaluation; needs CUDA and downloaded weights",
    "real: needs real models or photographs from the data root or a download",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all in one group and with one prefix."""
    group = parser.getgroup("xai-eval", "regression testing for explanations")
    group.addoption(
        "--xai-golden",
        metavar="DIR",
        help="folder of goldens, relative to where pytest is called (ini: xai_golden; default: that of the "
        "configuration file, or golden)",
    )
    group.addoption(
        "--xai-report",
        metavar="DIR",
        help="folder for results and page, relative to where pytest is called (ini: xai_report; default: that of the "
        "configuration file, or reports)",
    )
    group.addoption("--xai-profile", metavar="NAME", help="profile of the configuration file, such as gpu")
    group.addoption(
        "--xai-strict",
        action="store_true",
        default=None,
        help="a test of an explanation that cannot be measured fails instead of being skipped, also if it skips itself",
    )
    parser.addini("xai_golden", "folder of goldens, relative to pytest's root directory", default="")
    parser.addini("xai_report", "folder for results and page, relative to pytest's root directory", default="")
    parser.addini(
        "xai_strict",
        "a test of an explanation that cannot be measured fails instead of being skipped",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


class XaiGolden:
    """The value of the fixture `xai_golden`."""

    def __init__(self, session: GoldenSession, item: pytest.Item) -> None:
        self._session = session
        self._item = item
        # The values that this attempt of the test has checked; a test that is tried again gets another object.
        self._names: frozenset[str | None] = frozenset()

    def check(self, value: Any, name: str | None = None, *, tolerance: Any = None) -> Verdict:
        """Compare a Result, or a value that the test computed itself, with its golden; fail unless the verdict is ok.

        What was obtained is written into the report folder, so that it can be looked at and accepted. Goldens are never
        written: as long as a golden is missing, the test fails.

        Args:
            value: a Result; or a map (array or tensor of floats, (h, w)), a mask (bools, (h, w)), a number, a pandas
                DataFrame, or a dict of these by name.
            name: which value of the test it is; only for a value that is no Result.
            tolerance: how far the value may be from its golden: of a map, a share of its own largest value; of a mask,
                how far the IoU may fall below 1; of a number, an absolute difference; of a data frame, an absolute
                difference of all floats, or by column. docs/how-to/bare-results.md says which one is usual.

        Raises:
            UsageError: the value has another type or shape, is empty, or holds NaN or infinity; or the test has checked
                another value by this name.
        """
        __tracebackhide__ = True
        from xai_eval.errors import UsageError
        from xai_eval.pytest_plugin.shown import fail

        try:
            result = self._result(value, name, tolerance)
        except UsageError as error:
            # Raised anew, so that pytest shows the line of the test and this sentence, and none of our own lines.
            raise UsageError(str(error)) from None
        verdict, message = self._session.check(result, self._item)
        if verdict.failed:
            fail(message)
        return verdict

    def _result(self, value: Any, name: str | None, tolerance: Any) -> Result:
        from xai_eval.pytest_plugin.bare_result import bare_result, require_new, require_result

        if require_result(value, name, tolerance):
            result: Result = value
            return result
        self._names = require_new(name, self._names)
        return bare_result(value, name, tolerance, self._item)


@pytest.fixture
def xai_golden(request: pytest.FixtureRequest) -> XaiGolden:
    """Compare what this test computes with goldens: `xai_golden.check(result)`, `xai_golden.check(value, name=...)`."""
    return XaiGolden(_session(request.config), request.node)


@pytest.fixture
def xai_case(request: pytest.FixtureRequest, xai_golden: XaiGolden) -> XaiCase:
    """A case of the suite in the configuration file: `xai_case.check()` computes it and compares it with its golden.

    A test that uses this fixture runs once for each case of the suite.
    """
    from xai_eval.pytest_plugin.suite import XaiCase

    return XaiCase(request.param, request.config.stash[_SUITE], _session(request.config), request.node)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `xai_case` once for each case of the suite."""
    if "xai_case" not in metafunc.fixturenames:
        return
    from xai_eval.media.terminal import line
    from xai_eval.pytest_plugin.suite import read_suite

    if _SUITE not in metafunc.config.stash:
        metafunc.config.stash[_SUITE] = read_suite(metafunc.config)
    params = [
        pytest.param(each, id=line(each.name), marks=pytest.mark.xai) for each in metafunc.config.stash[_SUITE].cases
    ]
    metafunc.parametrize("xai_case", params, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Skip a `gpu` test without CUDA, and a test whose input is missing; under --xai-strict, fail it instead."""
    if _KEY in item.config.stash:
        _session(item.config).begin(item.nodeid)
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            _not_measured(item.config, "CUDA is not available here")
    with _absent_inputs(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Skip a `real` or `gpu` test that finds its input missing; under --xai-strict, fail it instead."""
    with _absent_inputs(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Show an error of this package that a test file raises while it is loaded as one of a test is shown."""
    report = yield
    call = getattr(report, "call", None)
    if call is not None and call.excinfo is not None:
        from xai_eval.errors import XaiEvalError

        if isinstance(call.excinfo.value, XaiEvalError):
            from xai_eval.pytest_plugin.shown import shown_report

            shown_report(report, coloured=collector.config.get_terminal_writer().hasmarkup)
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remember which tests use goldens, to know at the end whether all of them ran."""
    selected = [item for item in session.items if "xai_golden" in getattr(item, "fixturenames", ())]
    if selected:
        state = _session(session.config)
        state.selected.extend(item.nodeid for item in selected)
        state.required.extend(item.nodeid for item in selected if not _may_be_absent(item))


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember that tests with goldens were deselected, so that their goldens are not reported as unused."""
    left_out = [item for item in items if "xai_golden" in getattr(item, "fixturenames", ())]
    if left_out:
        state = _session(left_out[0].config)
        state.partial = True
        state.deselected += len(left_out)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: pytest's own wrapper turns a failure into an xfail
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember how tests with goldens ended: no failing verdict is reported twice, and none is swallowed.

    What pytest prints of their errors may hold names and sentences that a stranger chose.
    """
    if call.excinfo is None or not _is_ours(item, call.excinfo.value):
        report = yield
    else:
        from xai_eval.pytest_plugin.shown import shown_error, shown_report

        shown_error(call.excinfo.value)
        report = yield
        shown_report(report, coloured=item.config.get_terminal_writer().hasmarkup)
    if _KEY in item.config.stash:
        _session(item.config).note_report(item, report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under pytest-xdist, tell a worker which process holds the lock of the report folder."""
    from xai_eval.store.lock import this_process

    node.workerinput["xai_eval_owner"] = this_process()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Under pytest-xdist, take over what a worker checked."""
    output = getattr(node, "workeroutput", {}).get("xai_eval")
    if output:
        _session(node.config).merge(output)
    if error:
        _session(node.config).partial = True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """At the end, judge the run as a whole and write the report; a worker hands its state to the controller instead."""
    if _KEY not in session.config.stash:
        return
    golden_session = _session(session.config)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["xai_eval"] = golden_session.handover()
        return
    for nodeid, message in golden_session.finish(session):
        _report_failure(session, nodeid, message)
    if golden_session.failing and session.exitstatus == pytest.ExitCode.OK:  # a test called pytest.exit(returncode=0)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what could not be measured; then the verdicts, worst first, and where the page is."""
    _tell_what_was_missing(terminalreporter)
    if _KEY not in config.stash or not _session(config).worth_a_summary:
        return
    terminalreporter.section("xai-eval")
    for line in _session(config).summary():
        terminalreporter.line(line)


def _tell_what_was_missing(terminalreporter: Any) -> None:
    """Say which inputs were missing, and how many tests were skipped for each: no dot or letter says it."""
    skipped = terminalreporter.stats.get("skipped", ())
    reasons = Counter(filter(None, (_missing(report) for report in skipped)))
    if not reasons:
        return
    from xai_eval.media.terminal import line

    terminalreporter.section("xai-eval: not measured")
    for reason, count in reasons.most_common():
        terminalreporter.line(line(f"{count} {'test' if count == 1 else 'tests'}: {reason}"))
    if not any(terminalreporter.stats.get(outcome) for outcome in _RAN):
        terminalreporter.line("nothing was measured: every test was skipped. With --xai-strict such tests fail.")


def _missing(report: Any) -> str | None:
    """Return what a skipped test did not find, or None if it was skipped for another reason."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    before, found, missing = reason.partition(_NOT_MEASURED)
    return missing if found and before in ("", "Skipped: ") else None


_RAN = ("passed", "failed", "error", "xfailed", "xpassed", "rerun")
_NOT_MEASURED = "not measured: "
_KEY: pytest.StashKey[Any] = pytest.StashKey()
_SUITE: pytest.StashKey[Any] = pytest.StashKey()


def _session(config: pytest.Config) -> GoldenSession:
    """Return the session's state, made on first use: a run without explanations must not pay for it."""
    from xai_eval.pytest_plugin.session import GoldenSession

    if _KEY not in config.stash:
        config.stash[_KEY] = GoldenSession.of(config)
    session: GoldenSession = config.stash[_KEY]
    return session


def _is_ours(item: pytest.Item, error: BaseException) -> bool:
    """Whether an error is one of this package, or of a test that uses goldens."""
    from xai_eval.errors import XaiEvalError

    return isinstance(error, XaiEvalError) or "xai_golden" in getattr(item, "fixturenames", ())


def _may_be_absent(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("real") or item.get_closest_marker("gpu"))


@contextlib.contextmanager
def _absent_inputs(item: pytest.Item) -> Iterator[None]:
    from xai_eval.errors import InputUnavailable

    try:
        yield
    except InputUnavailable as error:
        if not _may_be_absent(item):
            raise
        _not_measured(item.config, str(error))


def _not_measured(config: pytest.Config, reason: str) -> None:
    from xai_eval.pytest_plugin.session import is_strict
    from xai_eval.pytest_plugin.shown import fail, skip

    if is_strict(config):
        fail(f"{_NOT_MEASURED}{reason}")
    skip(f"{_NOT_MEASURED}{reason}")


def _report_failure(session: pytest.Session, nodeid: str, message: str) -> None:
    """Add a failed test, so that JUnit files, counts and exit code all agree that the run failed."""
    from xai_eval.media.terminal import block

    report = pytest.TestReport(
        nodeid=nodeid,
        location=(nodeid, None, nodeid.rpartition("::")[2]),
        keywords={},
        outcome="failed",
        longrepr=block(message),
        when="call",
    )
    session.config.hook.pytest_runtest_logreport(report=report)
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
