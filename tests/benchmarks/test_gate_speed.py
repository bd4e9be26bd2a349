"""How long it takes to judge 1,000 and 10,000 cases from disk and to report on 1,000, and how much memory.

    pytest -m benchmark tests/benchmarks/test_gate_speed.py -s

Times depend on the machine and what else it does, so they are printed; memory and verdicts are asserted.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from many_cases import write_many_cases

from xai_eval.bench.large_run import DRIFT_EVERY, write_large_run
from xai_eval.bench.rows.gate import JUDGE, in_fresh_process
from xai_eval.report.page.shown_cases import PASSING

COUNT = 1000
DRIFTED = COUNT // DRIFT_EVERY
MOST_MEGABYTES = 300
MOST_MEGABYTES_OF_MANY = 500

PAGE = """
import json, resource, sys, time
from pathlib import Path
from xai_eval.store.goldens import Goldens
from xai_eval.gate.judge_run import judge_run
from xai_eval.report.write import write_report
judged = judge_run(Path(sys.argv[1]), Goldens(Path(sys.argv[2])))
start = time.perf_counter()
page = write_report(Path(sys.argv[1]), judged)
seconds, megabytes = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
text = page.read_text()
print(json.dumps({
    "shown": sum(result.case.input in text for result in judged.results.values()),
    "articles": text.count("<article "), "failed": sum(verdict.failed for verdict in judged.verdicts),
    "seconds": seconds, "page_megabytes": page.stat().st_size / 2**20, "megabytes": megabytes,
}))
"""


@pytest.fixture(scope="module", params=[96, 224])
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run and its goldens: images of the size of the bundled scenes, and of ImageNet's."""
    folder = tmp_path_factory.mktemp(f"side-{request.param}")
    write_large_run(folder / "run", folder / "golden", COUNT, side=request.param)
    return folder / "run", folder / "golden"


@pytest.mark.benchmark
def test_a_thousand_cases_are_judged_in_little_memory(folders: tuple[Path, Path]) -> None:
    found = in_fresh_process(JUDGE, *folders)
    print(
        f"\n{COUNT} cases in {folders[0].parent.name}: judged in {found['seconds']:.2f} s "
        f"(imports {found['importing']:.2f} s, processor time of all cores {found['processor']:.2f} s; "
        f"{found['megabytes']:.0f} MB at most, {found['megabytes_of_others']:.0f} MB in each other process)"
    )
    assert found["states"] == {"ok": COUNT - DRIFTED, "drift": DRIFTED}
    assert found["drifted"] == [f"large/image-{number:04}.jpg" for number in range(0, COUNT, DRIFT_EVERY)]
    assert max(found["megabytes"], found["megabytes_of_others"]) < MOST_MEGABYTES


@pytest.mark.benchmark
@pytest.mark.parametrize("count", [10_000])
def test_many_cases_are_judged_in_little_memory(tmp_path: Path, count: int) -> None:
    write_many_cases(tmp_path / "run", tmp_path / "golden", count)
    found = in_fresh_process(JUDGE, tmp_path / "run", tmp_path / "golden")
    print(
        f"\n{count} cases of 64 px: judged in {found['seconds']:.2f} s (processor time of all cores "
        f"{found['processor']:.2f} s), {found['megabytes']:.0f} MB at most, {found['megabytes_of_others']:.0f} MB in "
        "each process that judges a part"
    )
    assert found["states"] == {"ok": count - count // DRIFT_EVERY, "drift": count // DRIFT_EVERY}
    assert max(found["megabytes"], found["megabytes_of_others"]) < MOST_MEGABYTES_OF_MANY


@pytest.mark.benchmark
def test_the_page_of_a_thousand_cases(folders: tuple[Path, Path]) -> None:
    check_page(folders, DRIFTED + PASSING)


@pytest.mark.benchmark
def test_the_page_of_a_thousand_cases_that_all_drift(tmp_path: Path) -> None:
    write_large_run(tmp_path / "run", tmp_path / "golden", COUNT, drift_every=1)
    check_page((tmp_path / "run", tmp_path / "golden"), COUNT)


def check_page(folders: tuple[Path, Path], in_full: int) -> None:
    found = in_fresh_process(PAGE, *folders)
    print(
        f"\nreport of {COUNT} cases in {folders[0].parent.name}, {found['failed']} of which drift: page of "
        f"{found['page_megabytes']:.1f} MB, written in {found['seconds']:.1f} s, {found['megabytes']:.0f} MB at most"
    )
    assert found["shown"] == COUNT
    assert found["articles"] == in_full
    assert found["megabytes"] < MOST_MEGABYTES
