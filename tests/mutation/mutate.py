"""Are lines that are broken at random noticed by the tests? A script, which pytest does not collect.

    python tests/mutation/mutate.py draw --count 30 --seed 0 --also-in ../before mutations.json
    python tests/mutation/mutate.py run mutations.json found.json
    python tests/mutation/mutate.py run mutations.json found_before.json --root ../before --pytest "-n 2"
    python tests/mutation/mutate.py compare found_before.json found.json

Each error is put into a copy of the checkout, never into the checkout itself. There the tests of its room run until
their first failure, and then, if none fails, the suite. An error that no test notices costs a whole run of the suite.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutations import Mutation, drawn, located, put_into

HERE = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", "reports", "__pycache__", ".*_cache", ".hypothesis", ".venv", "venv")
NOTICED, SURVIVED, ABSENT = "noticed", "survived", "absent"
# Exit codes of pytest: failures, what collecting raised, an error inside, a conftest.py that cannot be imported.
FAILING = {1, 2, 3, 4}


@dataclass(frozen=True)
class Outcome:
    """What became of one error: noticed, survived, or absent where the checkout lacks the line; by which test."""

    mutation: Mutation
    outcome: str
    by: str
    seconds: float

    @property
    def line(self) -> str:
        """One line of the table."""
        new = self.mutation.new.strip()
        return f"{self.outcome:9} {self.seconds:6.0f} s  {self.mutation.kind:30} {new:60.60}  {self.by}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, run or compare."""
    asked = _parser().parse_args(arguments)
    if asked.command == "draw":
        found = drawn(asked.root, asked.count, asked.seed, asked.also_in)
        _write(asked.mutations, [dataclasses.asdict(each) for each in found])
        return 0
    if asked.command == "compare":
        return compared(_read(asked.before), _read(asked.after))
    mutations = [Mutation(**each) for each in json.loads(asked.mutations.read_text())]
    outcomes = run(mutations, asked.root, shlex.split(asked.pytest), asked.seconds, asked.outcomes)
    print(f"{sum(each.outcome == NOTICED for each in outcomes)} of {len(outcomes)} noticed")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="draw lines, and an error for each")
    draw.add_argument("mutations", type=Path, help="file to write")
    draw.add_argument("--count", type=int, default=30, help="number of lines (default: 30)")
    draw.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    draw.add_argument("--also-in", type=Path, action="append", default=[], help="checkout that must have the line too")
    runs = commands.add_parser("run", help="put each error into a copy of a checkout and run its tests")
    runs.add_argument("mutations", type=Path, help="file of `draw`")
    runs.add_argument("outcomes", type=Path, help="file to write; it grows with each error")
    runs.add_argument("--pytest", default="", help="arguments of pytest beside -x, in one string")
    runs.add_argument("--seconds", type=float, default=1800, help="a run that takes longer notices (default: 1800)")
    for command in (draw, runs):
        command.add_argument("--root", type=Path, default=HERE, help="checkout (default: this one)")
    compare = commands.add_parser("compare", help="what was noticed before and is not any more; exit code 1 if any")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    return parser


def run(
    mutations: Sequence[Mutation], root: Path, arguments: Sequence[str], seconds: float, place: Path
) -> list[Outcome]:
    """Try each error in a copy of `root`; what is known so far is in `place`."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(root, tree, ignore=LEFT_OUT)
        suite = Suite(tree, tuple(arguments), seconds)
        suite.check()
        outcomes: list[Outcome] = []
        for mutation in mutations:
            outcomes.append(tried(mutation, suite))
            print(outcomes[-1].line, flush=True)
            _write(place, [dataclasses.asdict(each) for each in outcomes])
    return outcomes


@dataclass(frozen=True)
class Suite:
    """The tests of a copy of a checkout, and how they are called."""

    tree: Path
    arguments: tuple[str, ...]
    seconds: float

    def check(self) -> None:
        """The copy's own package must be tested, and its tests must pass as they are."""
        command = [sys.executable, "-c", "import xai_eval; print(xai_eval.__file__)"]
        tested = subprocess.run(command, cwd=self.tree, env=self._environment, capture_output=True, text=True).stdout
        if not Path(tested.strip()).is_relative_to(self.tree):
            raise SystemExit(f"{tested.strip()} would be tested; expected a module below {self.tree}.")
        outcome, by = self.run()
        if outcome == NOTICED:
            raise SystemExit(f"the tests fail without any error put in, first {by}: mend them, or leave them out.")

    def try_error_in(self, path: Path) -> tuple[str, str]:
        """Noticed or survived, and the first test that failed: first among the tests of the room of `path`."""
        room = self.tree / "tests" / path.relative_to(self.tree / "xai_eval").parts[0]
        outcome = self.run(str(room)) if room.is_dir() else (SURVIVED, "")
        return outcome if outcome[0] == NOTICED else self.run()

    def run(self, *tests: str) -> tuple[str, str]:
        """Noticed or survived, and the first test that failed, in the suite or in a folder of tests."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
        # In a session of its own, so that workers end with it.
        process = subprocess.Popen(
            [*command, *self.arguments, *tests],
            cwd=self.tree,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            text, _ = process.communicate(timeout=self.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return NOTICED, f"did not end within {self.seconds:.0f} s"
        if process.returncode == 0:
            return SURVIVED, ""
        if process.returncode not in FAILING:
            raise SystemExit(f"pytest ended with {process.returncode}:\n{text[-2000:]}")
        failed = [line for line in text.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return NOTICED, failed[0] if failed else text.strip().splitlines()[-1]

    @property
    def _environment(self) -> dict[str, str]:
        # No bytecode, because a file that is changed twice within a second may keep that of its first state.
        return {**os.environ, "PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1"}


def tried(mutation: Mutation, suite: Suite) -> Outcome:
    """Put an error in, run the tests, and take it out again."""
    path = located(mutation, suite.tree)
    if path is None:
        return Outcome(mutation, ABSENT, "", 0.0)
    started, right = time.monotonic(), path.read_text()
    put_into(mutation, path)
    try:
        outcome, by = suite.try_error_in(path)
    finally:
        path.write_text(right)
    return Outcome(mutation, outcome, by, time.monotonic() - started)


def compared(before: Sequence[Outcome], after: Sequence[Outcome]) -> int:
    """Print what either notices, and every error that is not noticed any more."""
    later = {each.mutation: each for each in after}
    lost = [each for each in before if each.outcome == NOTICED and later[each.mutation].outcome != NOTICED]
    for name, outcomes in (("before", before), ("after", after)):
        print(f"{name}: {sum(each.outcome == NOTICED for each in outcomes)} of {len(outcomes)} noticed")
    for each in lost:
        print(f"lost: {each.mutation.file}: {each.mutation.new.strip()} (was noticed by {each.by})")
    return 1 if lost else 0


def _read(path: Path) -> list[Outcome]:
    return [Outcome(**{**each, "mutation": Mutation(**each["mutation"])}) for each in json.loads(path.read_text())]


def _write(path: Path, entries: Sequence[object]) -> None:
    path.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
