"""What a person saw of a case. A decision is about that, and about nothing that came in its place meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.errors import UsageError, XaiEvalError
from xai_eval.gate.judge_run import Judged
from xai_eval.store.goldens import Goldens
from xai_eval.store.lazy import digest_of, open_result
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import read_case

_NAMED = 5  # cases that a sentence lists


@dataclass(frozen=True)
class Seen:
    """Digests of the result, and of the golden that it was compared with; empty if there was none."""

    result: str
    golden: str


def seen_now(judged: Judged) -> dict[str, Seen]:
    """Return what is to be seen of every result of a judged run, by case key."""
    return {key: _seen(key, judged) for key in judged.results}


def _seen(key: str, judged: Judged) -> Seen:
    return Seen(digest_of(judged.results[key]), _golden(key, judged))


def _golden(key: str, judged: Judged) -> str:
    golden = judged.goldens.get(judged.pairs.get(key, key))
    return "" if golden is None else digest_of(golden)


def is_still(judged: Judged, keys: Collection[str], run: RunFolder, goldens: Goldens) -> bool:
    """Tell whether a run is as it was when it was judged: its record, and results and goldens of the cases `keys`."""
    if not judged.results.keys() >= set(keys):
        return False
    try:
        if run.record() != judged.record or run.measured() != judged.measured:
            return False
        return all(_on_disk(key, judged, run, goldens) == _seen(key, judged) for key in keys)
    except XaiEvalError:
        return False  # whoever judges it anew says what is wrong


def _on_disk(key: str, judged: Judged, run: RunFolder, goldens: Goldens) -> Seen:
    golden = goldens.opened().load(judged.goldens.get(judged.pairs.get(key, key), judged.results[key]).case)
    result = read_case(run.path, run.folder_of(key), open_result)
    return Seen(digest_of(result), "" if golden is None else digest_of(golden))


def require_seen(cases: Mapping[str, Seen], judged: Judged) -> None:
    """Raise UsageError if a result, or its golden, is no longer what the person saw when they decided."""
    now = seen_now(judged)
    changed = {
        "the result is gone, or cannot be read": [key for key in cases if key not in now],
        "the result is another one": [k for k, seen in cases.items() if k in now and now[k].result != seen.result],
        "the golden is another one": [k for k, seen in cases.items() if k in now and now[k].golden != seen.golden],
    }
    for what, keys in changed.items():
        if keys:
            raise UsageError(
                f"since the page was shown, {what} ({_listed(keys)}), so this is not what you saw, and nothing was "
                "decided. Reload the page, and look again."
            )


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_NAMED]) + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")
