"""Settings of lime that a search has chosen, read from the JSON that it saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval.errors import InputUnavailable, UsageError

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime_search import Setting


@dataclass(frozen=True)
class ChosenSetting:
    """What to use for an image: its own best setting where the search saw it, else the best overall."""

    overall: Setting
    images: Mapping[str, Setting]

    def of(self, name: str) -> Setting:
        """Return the setting for the image `<set>/<name>`."""
        return self.images.get(name, self.overall)


def read_chosen_setting(path: Path | str) -> ChosenSetting:
    """Read `lime_search_best.json`, as a run of `lime_search` leaves it in its tables.

    Raises:
        InputUnavailable: the file cannot be read.
        UsageError: it is no such document, or a setting in it is none that lime can take.
    """
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputUnavailable(f"the chosen setting {path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON ({error}). Run `xai-eval run lime_search` to write one.") from error
    try:
        images = {name: _setting(each) for name, each in document.get("images", {}).items()}
        return ChosenSetting(_setting(document["overall"]), images)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} holds no chosen setting ({error!r}); expected what `xai-eval run lime_search` leaves in "
            "tables/lime_search_best.json."
        ) from error


def _setting(values: Mapping[str, Any]) -> Setting:
    from xai_eval.explainers.lime.lime_search import Setting, make_grid

    make_grid(values)
    return Setting(**values)
