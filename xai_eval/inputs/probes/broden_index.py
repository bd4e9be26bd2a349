"""Read the tables of Broden: which files are photographs, which files label them, and what label numbers mean.

The layout is the one that the code of Bau et al., "Network Dissection", CVPR 2017, reads and writes.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from xai_eval.disk.door import TooLarge, opened, read_bytes
from xai_eval.disk.typed import spelled
from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import LARGEST_AREA
from xai_eval.inputs.probes.probe_set import Concept
from xai_eval.inputs.text_lines import require_short

INDEX = "index.csv"
LARGEST_NUMBER = 2**16 - 1  # red + 256 * green

# Ends of names by which Broden tells apart categories that share words.
_MARKS = {"scene": "-s", "color": "-c"}
_ABOUT_IMAGE = ("image", "split", "ih", "iw", "sh", "sw")
_NEEDED = {"image", "sh", "sw"}
_NUMBER = re.compile(r"[0-9]{1,9}")
_LONGEST_HEADER = 10_000
# The authors' index lists 63,305 images in some megabytes.
MOST_TABLE_BYTES, MOST_ROWS = 24 * 2**20, 200_000
_MOST_COLUMNS, _MOST_LABELS = 64, 1_000
# Paths that an index must not contain: empty ones, absolute ones, those with a drive letter, with "..", or with a null
# byte. An index may come from anywhere, so paths of every system are checked.
_LEADS_OUT = re.compile(r"^$|^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\0")


@dataclass(frozen=True)
class Row:
    """One photograph of the index.

    Attributes:
        image: its path below `images/`.
        shape: height and width of its label maps.
        labels: its labels of all categories, in the order of the columns: either the path of a label map below
            `images/`, or the number of a label that the whole image has.
    """

    image: str
    shape: tuple[int, int]
    labels: tuple[str | int, ...]


@dataclass(frozen=True)
class Index:
    """The content of index.csv.

    Attributes:
        categories: the categories of labels, in the order of their columns.
        rows: the photographs.
    """

    categories: tuple[str, ...]
    rows: tuple[Row, ...]


def is_broden(folder: Path) -> bool:
    """Tell whether a folder has an index.csv with the columns of Broden."""
    path = folder / INDEX
    if not path.is_file():
        return False
    with opened(path, follow=True) as file:
        header = file.readline(_LONGEST_HEADER).decode("utf-8-sig", "replace")
    return {name.strip(' "\n') for name in header.split(",")} >= _NEEDED


def read_index(path: Path) -> Index:
    """Read index.csv, without opening the files that it lists.

    Raises:
        OSError: it cannot be read.
        InputUnavailable: it does not have the expected columns, lists no image or no category, or has a path that
            leads out of `images/`.
    """
    columns, lines = _table(path, _NEEDED)
    categories = tuple(name for name in columns if name not in _ABOUT_IMAGE)
    # A category is part of a file name, c_<category>.csv, so it must not contain a path.
    if not categories or any(PurePath(name).name != name or "\0" in name for name in categories):
        raise InputUnavailable(
            f"{path} has the columns {spelled(columns)}; expected one for each category of labels, such as object, "
            f"after {', '.join(_ABOUT_IMAGE)}. Get the file again."
        )
    rows = tuple(_row(f"{path}, line {number}", line, categories) for number, line in lines)
    if not rows:
        raise InputUnavailable(f"{path} lists no image; expected one on every line. Get the file again.")
    return Index(categories, rows)


def read_concepts(folder: Path, categories: Sequence[str]) -> dict[int, Concept]:
    """Read the concept of each label number from c_<category>.csv, in the order of the numbers.

    A number stands for the same concept in every column. If several categories list a number, it belongs to the one in
    which it covers the most pixels, as in the authors' code. Names are cleaned for CLIP: the marks of the categories
    (street-s, blue-c) are left out, and underscores become spaces.

    Raises:
        OSError: a table cannot be read.
        InputUnavailable: a table does not have the expected columns or values.
    """
    found: dict[int, tuple[float, Concept]] = {}
    for category in categories:
        path = folder / f"c_{category}.csv"
        for line, row in _table(path, {"number", "name", "coverage"})[1]:
            number, coverage = _label(f"{path}, line {line}", row)
            require_short(row["name"], path, line)
            if number not in found or coverage > found[number][0]:
                found[number] = coverage, Concept(row["name"], category)
    return _cleaned({number: found[number][1] for number in sorted(found)})


def _cleaned(concepts: dict[int, Concept]) -> dict[int, Concept]:
    """Return the concepts with cleaned names; those that would then be equal within a category keep theirs."""
    clean = {
        number: Concept(each.name.removesuffix(_MARKS.get(each.category, "")).replace("_", " "), each.category)
        for number, each in concepts.items()
    }
    often = Counter(clean.values())
    return {number: each if often[each] == 1 else concepts[number] for number, each in clean.items()}


def _row(where: str, line: dict[str, str], categories: Sequence[str]) -> Row:
    sides = [int(line[side]) if _NUMBER.fullmatch(line[side]) else 0 for side in ("sh", "sw")]
    if not 0 < sides[0] * sides[1] <= LARGEST_AREA:
        raise InputUnavailable(
            f"{where}: label maps of {spelled(line['sw'])} x {spelled(line['sh'])} pixels (sw, sh); expected whole "
            f"numbers above 0, and at most {LARGEST_AREA // 1_000_000} megapixels. Get the file again."
        )
    labels = [entry for category in categories for entry in line[category].split(";") if entry]
    if len(labels) > _MOST_LABELS:
        raise InputUnavailable(
            f"{where}: {len(labels):,} labels; expected at most {_MOST_LABELS:,} of one image. Get the file again."
        )
    for path in (line["image"], *(entry for entry in labels if not _NUMBER.fullmatch(entry))):
        _check_path(where, path)
    return Row(line["image"], (sides[0], sides[1]), tuple(_entries(labels)))


def _entries(labels: Sequence[str]) -> Iterator[str | int]:
    """Yield every label once; number 0 means no label and is left out."""
    for entry in dict.fromkeys(int(label) if _NUMBER.fullmatch(label) else label for label in labels):
        if entry != 0:
            yield entry


def _check_path(where: str, text: str) -> None:
    if _LEADS_OUT.search(text):
        raise InputUnavailable(
            f"{where}: {spelled(text)} does not lead to a file below images/; expected a relative path without '..'. "
            "Get the file again from where it is published."
        )


def _label(where: str, row: dict[str, str]) -> tuple[int, float]:
    """Return the number of a label, and its coverage: how much of all images it covers in its category."""
    number = int(row["number"]) if _NUMBER.fullmatch(row["number"]) else 0
    try:
        coverage = float(row["coverage"])
    except ValueError:
        coverage = -1.0
    if not 1 <= number <= LARGEST_NUMBER or not coverage >= 0 or not row["name"].strip():
        raise InputUnavailable(
            f"{where}: number {spelled(row['number'])}, name {spelled(row['name'])}, coverage "
            f"{spelled(row['coverage'])}; expected a number from 1 to {LARGEST_NUMBER}, a name, and a coverage from 0. "
            "Get the file again."
        )
    return number, coverage


def _table(path: Path, needed: set[str]) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """Return the columns of a table, and its rows with their line numbers, one at a time: they take much memory."""
    try:
        content = read_bytes(path, MOST_TABLE_BYTES, follow=True)
    except TooLarge as error:
        raise InputUnavailable(f"{path} is no table of Broden: {error.strerror}. Get the file again.") from error
    if content.count(b"\n") > MOST_ROWS:
        raise InputUnavailable(f"{path} has more than {MOST_ROWS:,} lines. Get the file again.")
    file = io.TextIOWrapper(io.BytesIO(content), newline="", encoding="utf-8-sig")
    reader = csv.DictReader(file, strict=True)
    with _a_table(path):
        columns = list(reader.fieldnames or ())
    if not needed <= set(columns):
        raise InputUnavailable(
            f"{path} has the columns {spelled(columns)}; expected {', '.join(sorted(needed))} among them. Get the file "
            "again."
        )
    if len(columns) > _MOST_COLUMNS or len(set(columns)) < len(columns):
        raise InputUnavailable(
            f"{path} has {len(columns)} columns; expected at most {_MOST_COLUMNS} different ones. Get the file again."
        )
    return columns, _rows(path, reader, len(columns))


def _rows(path: Path, reader: csv.DictReader[str], columns: int) -> Iterator[tuple[int, dict[str, str]]]:
    with _a_table(path):
        for row in reader:
            # csv.DictReader puts surplus fields under the key None, and gives missing fields the value None.
            if None in row or None in row.values():
                raise InputUnavailable(
                    f"{path}, line {reader.line_num}: expected {columns} fields. Get the file again."
                )
            yield reader.line_num, row


@contextmanager
def _a_table(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputUnavailable(f"{path} is no table in UTF-8 ({error}). Get the file again.") from error
