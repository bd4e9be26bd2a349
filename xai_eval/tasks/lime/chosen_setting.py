"""Reads the settings of lime that a run of `lime_search` has chosen, from the JSON file that it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval.disk.door import read_bytes
from xai_eval.disk.strict_json import parse_json
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import InputUnavailable, UsageError

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime_search import Setting


@dataclass(frozen=True)
class ChosenSetting:
    """The best setting of each image of the search, and the best overall for all other images."""

    overall: Setting
    images: Mapping[str, Setting]

    def of(self, name: str) -> Setting:
        """Return the setting for an image, named `<set>/<name>`."""
        return self.images.get(name, self.overall)


def read_chosen_setting(path: Path | str) -> ChosenSetting:
    """Read `lime_search_best.json`, which a run of `lime_search` writes to its tables folder.

    Raises:
        InputUnavailable: the file cannot be read.
        UsageError: the file is not such a document, or lime does not accept a setting in it.
    """
    try:
        document = parse_json(read_bytes(Path(path), follow=True))
    except OSError as error:
        found = refusal(error, "check the path")
        raise InputUnavailable(
            f"the chosen setting {path} cannot be read ({found.reason}). {found.sentence}"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}). Run `xai-eval run lime_search` to write one.") from error
    try:
        images = {name: _setting(each) for name, each in document.get("images", {}).items()}
        return ChosenSetting(_setting(document["overall"]), images)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} holds no chosen setting ({error!r}); expected a file lime_search_best.json, which "
            "`xai-eval run lime_search` writes to its tables folder."
        ) from error


def _setting(values: Mapping[str, Any]) -> Setting:
    from xai_eval.explainers.lime.lime_search import Setting, make_grid

    make_grid(values)
    return Setting(**values)
