"""The suite of the configuration file in pytest: one test per case."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from xai_eval.errors import InputUnavailable, XaiEvalError
from xai_eval.media.terminal import block
from xai_eval.pytest_plugin.session import GoldenSession, settings_of
from xai_eval.pytest_plugin.shown import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xai_eval.result.result import Result
    from xai_eval.run.suite_cases import Computed, Suite, SuiteCase


def read_suite(config: pytest.Config) -> Suite:
    """List the cases of the suite. What is wrong with it ends the collection with one sentence."""
    from xai_eval.run.suite_cases import Suite

    try:
        return Suite(settings_of(config))
    except (XaiEvalError, pytest.UsageError) as error:
        raise pytest.Collector.CollectError(block(str(error))) from error


class XaiCase:
    """The value of the fixture `xai_case`: a case of the suite, computed when it is used.

    Attributes:
        name: the name of the case in the id of its test.
    """

    def __init__(self, case: SuiteCase, suite: Suite, session: GoldenSession, item: pytest.Item) -> None:
        self.name = case.name
        self._case = case
        self._suite = suite
        self._session = session
        self._item = item

    @property
    def result(self) -> Result:
        """The result of the case; the first one, if a task returns several that are not about one image each."""
        return self.results[0]

    @property
    def results(self) -> Sequence[Result]:
        """All results of the case: one per image, or those of a task that explains a whole model."""
        return self._computed.results

    def check(self) -> None:
        """Compare the case with its golden; fail the test unless the verdict is ok.

        The result is written into the report folder, so that it can be looked at and accepted. Goldens are never
        written: as long as a golden is missing, the test fails.
        """
        __tracebackhide__ = True
        self._session.note_request(self._computed.request, None if self._computed.complete else self._computed.inputs)
        judged = [self._session.check(result, self._item) for result in self.results]
        failures = [message for verdict, message in judged if verdict.failed]
        if failures:
            fail("\n\n".join(failures))

    @functools.cached_property
    def _computed(self) -> Computed:
        __tracebackhide__ = True
        try:
            computed = self._suite.compute(self._case)
        except InputUnavailable as error:
            # The hooks of the plugin skip the test if it is marked `real` or `gpu`. The sentence says all that there is
            # to know; where in this package the error was raised does not help.
            raise error.with_traceback(None) from None
        except XaiEvalError as error:
            fail(str(error))
        if not computed.results:
            fail(f"{self.name}: the task returned no result, so nothing was measured.")
        return computed
