"""Recognises an image, or a whole set of images, by its content: the same bytes or pixels under another name. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from xai_eval.gate.changes import DIGESTS_OF_INPUTS
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind

_PIXELS = Stage(StageKind.DECODED_PIXELS)


class SameContent:
    """What the images of results and of goldens are, by case key.

    A copy of an image under a second name makes it ambiguous which of the two was renamed. So what two results, or two
    goldens, of the same task, model and parameters have in common identifies neither.
    """

    def __init__(self, obtained: Mapping[str, Result], goldens: Mapping[str, Result]) -> None:
        """Note the results and the goldens; nothing is read before it is asked for."""
        self._sides = (obtained, goldens)

    def by_bytes(self, case: Case) -> str | None:
        """Return what identifies the bytes of the images of a case; None if they are not known, or ambiguous."""
        return self._bytes.get(case.key)

    def by_pixels(self, case: Case) -> str | None:
        """Return what identifies the decoded pixels of the image of a case; None if not known, or ambiguous."""
        return self._pixels.get(case.key)

    @cached_property
    def _bytes(self) -> dict[str, str]:
        return self._identities(_digest_of_bytes)

    @cached_property
    def _pixels(self) -> dict[str, str]:
        return self._identities(_digest_of_pixels)

    def _identities(self, digest: Callable[[Result], str]) -> dict[str, str]:
        sides = [_identities(side.values(), digest) for side in self._sides]
        ambiguous = {identity for side in sides for identity, times in Counter(side.values()).items() if times > 1}
        return {key: identity for side in sides for key, identity in side.items() if identity not in ambiguous}


def _identities(results: Iterable[Result], digest: Callable[[Result], str]) -> dict[str, str]:
    found = [(result.case, digest(result)) for result in results]
    return {case.key: Case(case.task, case.model, of, case.params).identity for case, of in found if of}


def _digest_of_bytes(result: Result) -> str:
    digests = result.provenance.digests
    return " ".join(digests[name] for name in sorted(DIGESTS_OF_INPUTS & digests.keys()))


def _digest_of_pixels(result: Result) -> str:
    return result.stage_digest(_PIXELS) or ""
