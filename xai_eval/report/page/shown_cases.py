"""The order of the cases, which of them are shown with images (all that are not ok, and the first ones that are), and
which of these images are within the file of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from xai_eval.report.cases import ReportCase
from xai_eval.report.text.summary import badness, is_fine, worst_first

# Ok cases per task that are shown with images: a page with a thousand of them would be too large to open.
PASSING = 50
# Cases per task, the worst first, for which figure files are drawn. One takes as long as ten cases on the page.
FIGURES = 40
# Pixels of images within the file of the page: about 6 MB. Those of further cases are files beside it.
IN_THE_FILE = 9_000_000
# The bundled tasks, the easiest to understand first, and what each shows; then the values of tests. Tasks of users come
# after these, by name.
_TASKS = {
    "cams": "Class activation maps (Grad-CAM and others): the places that speak for the explained class.",
    "attributions": "Integrated gradients and others: the pixels that speak for the explained class, and against it.",
    "lime": "LIME: the superpixels (patches of similar pixels) that speak for and against the explained class.",
    "comparison": "Grad-CAM and LIME for the same class: how far they mark the same pixels.",
    "dissection": "The concept that each unit (channel of a layer) responds to.",
    "hybrid": "Maps that combine Grad-CAM and LIME, compared with both.",
    "lime_search": "Settings of LIME, ranked by six measures.",
    "values": "Values that tests computed: each has the name of its test, and the name that the test gave it.",
}


def worst_cases_first(cases: Sequence[ReportCase]) -> list[ReportCase]:
    """Sort as `worst_first` sorts their verdicts."""
    order = {v.case.key: place for place, v in enumerate(worst_first(case.verdict for case in cases))}
    return sorted(cases, key=lambda case: order[case.key])


def by_task(cases: Sequence[ReportCase]) -> list[ReportCase]:
    """Sort by task, then the worst first; of equally bad cases, that which sums up an image set comes last."""

    def place(case: ReportCase) -> tuple[object, ...]:
        verdict = case.verdict
        return _task_place(verdict.case.task), badness(verdict), case.whole_set

    return sorted(worst_cases_first(cases), key=place)


def tasks_in_order(tasks: Sequence[str]) -> list[str]:
    """Sort the names of tasks as the page does."""
    return sorted(tasks, key=_task_place)


def _task_place(task: str) -> tuple[int, str]:
    return (list(_TASKS).index(task) if task in _TASKS else len(_TASKS)), task


def about_task(task: str) -> str:
    """Return one sentence on what a bundled task shows; empty for a task of a user, which the report does not know."""
    return _TASKS.get(task, "")


def with_images(cases: Sequence[ReportCase]) -> list[ReportCase]:
    """Return the cases with images on the page: all not ok, all that sum up a set, and the first ok ones per task."""
    return _first(cases, PASSING, lambda case: case.whole_set or not is_fine(case.verdict))


def images_beside(cases: Sequence[ReportCase]) -> set[str]:
    """Return the keys of cases whose images are files beside the page, because those of earlier cases fill it.

    `cases` are those that are shown with images, in the order of the page.
    """
    pixels, beside = 0, set[str]()
    for case in cases:
        pixels += _pixels(case.unloaded())
        if pixels > IN_THE_FILE:
            beside.add(case.key)
    return beside


def _pixels(case: ReportCase) -> int:
    """Return about how many pixels the images of a case have together: the image, its maps, and those of its golden."""
    if not case.maps:
        return 0
    images = len(case.maps) + len(case.changed_fields) + 1
    return images * max(each.shape[0] * each.shape[1] for each in case.maps.values())


def with_figures(cases: Sequence[ReportCase]) -> list[ReportCase]:
    """Return the cases for which figures are drawn: all that sum up a set, and the first `FIGURES` of each task."""
    return _first(cases, FIGURES, lambda case: case.whole_set)


def _first(cases: Sequence[ReportCase], most: int, always: Callable[[ReportCase], bool]) -> list[ReportCase]:
    """Return the cases that are chosen `always` and the `most` worst others per task, in the order of `cases`."""
    chosen, counts = set[str](), Counter[str]()
    for case in by_task(cases):
        task = case.verdict.case.task
        counts[task] += not always(case)
        if always(case) or counts[task] <= most:
            chosen.add(case.key)
    return [case for case in cases if case.key in chosen]
