"""What the commands that judge a run share: its goldens, its page, what is printed, and the exit code."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from xai_eval.cli.exit_codes import EXIT_DRIFT, EXIT_NOTHING, EXIT_OK
from xai_eval.errors import StorageError, UsageError, XaiEvalError
from xai_eval.media.terminal import answer, answer_json, tell
from xai_eval.report.text.unexpected import unexpected

# Everything else is imported by the command that needs it: `--help` must not wait for pandas.
if TYPE_CHECKING:
    from xai_eval.gate.judge_run import Judged
    from xai_eval.gate.review import Review
    from xai_eval.report.page.compared_runs import ComparedRuns
    from xai_eval.store.goldens import Goldens
    from xai_eval.store.run_folder import RunFolder


def judge_and_report(
    folder: Path, golden: Path, judge: Callable[[], Judged]
) -> tuple[Judged, Path | XaiEvalError | None]:
    """Judge a run and write its page while no other process writes there. If one does, the run is only judged."""
    from xai_eval.store.run_folder import RunFolder

    with ExitStack() as held:
        try:
            held.enter_context(locked_if_there(RunFolder(folder)))
        except (StorageError, UsageError) as error:
            return judge(), error
        judged = judge()
        return judged, try_to_report(folder, golden, judged)


def locked_if_there(run: RunFolder) -> AbstractContextManager[None]:
    """Lock the folder of a run. Where there is none, nothing is locked, because a lock would make the folder."""
    with suppress(OSError):  # whoever reads it says why it cannot be looked at
        if run.path.is_dir():
            return run.locked()
    return nullcontext()


def goldens_of(options: argparse.Namespace) -> Goldens:
    """Return the goldens that the options name; which may not be there yet."""
    from xai_eval.store.goldens import Goldens

    goldens = Goldens(options.golden, quarantine_days=options.settings.quarantine_days)
    goldens.require_folder()
    return goldens


def try_to_report(
    folder: Path, golden: Path, judged: Judged, results: Path | None = None, compared: ComparedRuns | None = None
) -> Path | XaiEvalError:
    """Write the page, or return why it cannot be written: the verdicts may have cost hours and are printed anyway.

    `golden` and `results` are the folders that commands on the page name; `compared` tells of two runs.
    """
    from xai_eval.report.write import write_report
    from xai_eval.store.run_folder import RunFolder

    try:
        with RunFolder(folder).locked():
            return write_report(folder, judged, golden, results, compared)
    except (StorageError, UsageError) as error:  # it cannot be written, or another process writes there
        return error
    except Exception as error:
        return StorageError(f"It cannot be drawn: {unexpected(error)}")


def print_verdicts(
    judged: Judged,
    options: argparse.Namespace,
    page: Path | XaiEvalError | None,
    failing: Sequence[str] | None = None,
    review: Review | None = None,
) -> int:
    """Print the verdicts and return the exit code; if no case fails, that of a page that could not be written.

    `failing` names the states that fail the command; if it is None, every state but ok does. `review` is added to the
    JSON document.
    """
    from xai_eval.report.text.commands import folders_to_accept
    from xai_eval.report.text.outcome import advice_lines, outcome_line
    from xai_eval.report.text.summary import explain_line, summary_lines
    from xai_eval.report.text.verdicts import verdicts_stream

    code = _exit_code(judged, failing)
    if options.json:
        document = verdicts_stream(judged.verdicts, judged.record, judged.run_findings)
        if review is not None:
            from xai_eval.report.text.review import review_document

            document["against"] = review_document(review, options.against)
        answer_json(document)
    else:
        # Commands that accept a result or find a cause need goldens, which two runs that are compared may not have.
        results = page.parent if isinstance(page, Path) and options.command != "diff" else None
        where = folders_to_accept(judged, results, options.golden) if results else None
        lines = summary_lines(judged.verdicts, judged.run_findings, where)
        lines.append(outcome_line(judged.verdicts, judged.run_findings, code))
        if results:
            lines += explain_line(judged.verdicts, judged.record.requests, results, options.golden)
        lines += [f"page: {page}"] if isinstance(page, Path) else []
        lines += advice_lines(judged.run_findings)
        answer(lines)
    if isinstance(page, XaiEvalError):
        tell(f"xai-eval: error: the report could not be written. {page}")
    return page.exit_code if code == EXIT_OK and isinstance(page, XaiEvalError) else code


def _exit_code(judged: Judged, failing: Sequence[str] | None) -> int:
    """Return the exit code of a judged run; `failing` names the states that fail it, None all but ok."""
    if not judged.measured:
        return EXIT_NOTHING
    failed = [v for v in judged.verdicts if v.failed and (failing is None or v.state in failing or v.overdue)]
    return EXIT_DRIFT if failed or judged.run_findings.failed else EXIT_OK
