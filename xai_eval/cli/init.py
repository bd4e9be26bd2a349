"""What `xai-eval init` does: write a commented configuration file and the workflow of a CI. Nothing is overwritten."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.cli.help_text import Help, examples_of
from xai_eval.disk.door import read_bytes, require_no_links
from xai_eval.disk.files import remove_temporaries, unwritable, write_new_file
from xai_eval.media.terminal import answer
from xai_eval.settings.find import OWN_FILE, find_document
from xai_eval.settings.settings import shown

_STARTERS = Path(__file__).parent / "starters"


@dataclass(frozen=True)
class _Starter:
    """A file to write.

    Attributes:
        name: name of the starter.
        target: where it goes, relative to the working directory.
        advice: what to do if there is such a file already.
    """

    name: str
    target: Path
    advice: str


_WORKFLOWS = {
    "github": _Starter("explanations.yml", Path(".github/workflows/explanations.yml"), "Compare it with {starter}."),
    "gitlab": _Starter("gitlab-ci.yml", Path(".gitlab-ci.yml"), "Add the job of {starter} to it."),
    "jenkins": _Starter("Jenkinsfile", Path("Jenkinsfile"), "Add the stages of {starter} to it."),
}


def add_init(commands: Any) -> None:
    """Add the command `init`."""
    text = "write a commented configuration file, and the workflow of a CI; nothing is overwritten"
    command = commands.add_parser("init", help=text, description=text, epilog=examples_of("init"), formatter_class=Help)
    command.add_argument("--ci", choices=_WORKFLOWS, help="also write the workflow of this CI")


def init(options: argparse.Namespace) -> int:
    """Write the starters that are not there yet, say what was done, and return the exit code.

    Raises:
        UsageError: a configuration file that is there already is not valid.
        StorageError: a file cannot be written.
    """
    answer(_configure())
    if options.ci:
        answer(_workflow(_WORKFLOWS[options.ci]))
    return 0


def _configure() -> Iterator[str]:
    remove_temporaries(Path(), [OWN_FILE])
    found = find_document(Path.cwd())
    if found is not None:
        yield f"{shown(found.file)} configures xai-eval already: it is left as it is."
        return
    if not write_new_file(Path(OWN_FILE), read_bytes(_STARTERS / OWN_FILE, follow=True)):
        yield f"{OWN_FILE} is there already: it is left as it is."
        return
    yield f"wrote {OWN_FILE}: name your models and images in it."
    yield 'Then: xai-eval run, look at the page that it names, and xai-eval accept --all --reason "first goldens".'


def _workflow(starter: _Starter) -> Iterator[str]:
    target, source = starter.target, _STARTERS / starter.name
    try:
        require_no_links(Path(), target.parent)
    except OSError as error:
        raise unwritable(target.parent, error) from error
    if not write_new_file(target, read_bytes(source, follow=True)):
        yield f"{target} is there already: it is left as it is. {starter.advice.format(starter=source)}"
        return
    yield f"wrote {target}: it explains and checks in every build, and keeps the page."
