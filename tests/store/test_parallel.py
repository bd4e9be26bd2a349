"""Work that a fork shares, in fresh processes: a test run has threads and perhaps torch, where nothing is forked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from large_run import write_large_run

ROOT = Path(__file__).parents[2]
BEGIN = """
import json, os, sys, threading
from xai_eval.store import parallel
parallel.LEAST = int(sys.argv[1])
parallel.os.sched_getaffinity = lambda _: {0, 1}  # whatever this machine has
here = os.getpid()
"""
JUDGE = """
from pathlib import Path
from xai_eval.store.goldens import Goldens
from xai_eval.gate.judge_run import judge_run
judged = judge_run(Path(sys.argv[2]), Goldens(Path(sys.argv[3])))
print(json.dumps({
    "results": list(judged.results), "goldens": list(judged.goldens), "broken": list(judged.broken),
    "verdicts": [repr(verdict) for verdict in judged.verdicts], "overall": repr(judged.overall),
    "digests": [each.digest for each in (*judged.results.values(), *judged.goldens.values())],
}))
"""


def run(script: str, least: int = 2, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", BEGIN + script, str(least), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)


def printed(script: str, least: int = 2, *arguments: object) -> object:
    done = run(script, least, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 11, 301])
def test_answers_come_in_order(count):
    script = f"print(json.dumps(parallel.in_halves(lambda n: n * n, range({count}))))"
    assert printed(script) == [n * n for n in range(count)]


def test_the_second_half_is_done_by_another_process():
    found = printed("print(json.dumps(parallel.in_halves(lambda n: os.getpid() == here, range(10))))")
    assert found == [True] * 5 + [False] * 5


@pytest.mark.parametrize(
    "reason",
    ["sys.modules['torch'] = None", "threading.Thread(target=input, daemon=True).start()", "parallel.LEAST = 11"],
)
def test_nothing_is_forked_where_that_is_not_safe_or_not_worth_it(reason):
    command = f"{reason}\nprint(json.dumps(parallel.in_halves(lambda n: os.getpid() == here, range(10))), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + command + "\nos._exit(0)", "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as done:
        assert json.loads(done.stdout.readline()) == [True] * 10


@pytest.mark.parametrize("death", ["os._exit(0)", "os.abort()", "1 / 0", "sys.exit()"])
def test_what_a_fork_that_dies_leaves_undone_is_done_here(death):
    script = f"""
def work(number):
    if os.getpid() != here and number > 7:
        {death}
    return number
print(json.dumps(parallel.in_halves(work, range(10))))
"""
    assert printed(script) == list(range(10))


def test_answers_that_cannot_be_sent_are_found_here():
    assert printed("print(json.dumps([each() for each in parallel.in_halves(lambda n: lambda: n, range(4))]))") == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("wrong", [1, 8])
def test_errors_of_either_half_are_raised_here(wrong):
    done = run(f"parallel.in_halves(lambda n: 1 // (n - {wrong}), range(10))")
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: integer division or modulo by zero\n")
    assert done.stderr.count("Traceback") == 1


def test_a_run_is_judged_alike_by_one_process_and_by_two(tmp_path):
    write_large_run(tmp_path / "run", tmp_path / "golden", 12, drift_every=5)
    results = sorted((tmp_path / "run" / "results" / "cams").iterdir())
    (results[3] / "arrays.npz").write_bytes(b"damaged")
    (results[9] / "result.json").write_text("{}")
    goldens = sorted((tmp_path / "golden" / "cams").iterdir())
    (goldens[11] / "result.json").write_text("")
    (goldens[0] / "arrays.npz").unlink()
    arguments = tmp_path / "run", tmp_path / "golden"
    alone, shared = printed(JUDGE, 1000, *arguments), printed(JUDGE, 2, *arguments)
    assert alone == shared
    assert len(alone["broken"]) == 2
    assert len(alone["goldens"]) == 10
