"""Whatever a document holds, every command that reads it ends with a code and a sentence, never with a traceback."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

import pytest
from hostile.documents import CASE, DOCUMENTS, read, read_arrays, repository, write, write_arrays
from hostile.mutations import array_mutations, mutations, quick
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xai_eval.cli.main import main

FOLDERS = ("--results", "run", "--golden", "golden")
COMMANDS = (
    ("check", "run", "--golden", "golden"),
    ("check", "run", "--golden", "golden", "--complete"),
    ("log", CASE.key, "--golden", "golden"),
    ("diff", "run", "run"),
    ("report", "run", "--golden", "golden"),
    ("prune", *FOLDERS, "--dry-run"),
    ("accept", CASE.key, *FOLDERS, "--reason", "looked"),
    ("explain-drift", CASE.key, *FOLDERS),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_figures: None) -> Path:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(command: tuple[str, ...]) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = main(list(command))
        except SystemExit as error:
            code = int(error.code or 0)
    return code, printed.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*DOCUMENTS, "arrays of the golden", "arrays of the result"])
@given(data=st.data())
@settings(quick(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_command_ends_with_a_sentence(name, data, place):
    for folder in ("run", "golden"):
        shutil.rmtree(place / folder, ignore_errors=True)
    repository(place)
    if name in DOCUMENTS:
        write(place, name, data.draw(mutations(read(place, name))).document)
    else:
        of = name.split()[-1]
        write_arrays(place, of, data.draw(array_mutations(read_arrays(place, of)))[2])
    code, text = said(data.draw(st.sampled_from(COMMANDS)))
    assert code in (0, 1, 2, 3) and "Traceback" not in text, text
    assert "internal" not in text.lower(), text


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_reads_the_repository_as_it_is(command, place):
    repository(place)
    code, text = said(command)
    assert "Traceback" not in text and code in (0, 3), text  # the file of the model is not there
