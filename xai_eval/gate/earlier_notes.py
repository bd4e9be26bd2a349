"""Reads facts out of the sentences in which an earlier version described a model: the facts are compared. Pure.

What is said of a model is for reading, and may be worded otherwise by any release. So a result holds the facts behind
its sentences beside them, and only these are compared. A result or golden of an earlier version holds sentences alone,
in the wording of that version, which is listed here. A sentence that is not listed is compared as it stands, so that no
change goes unseen.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from xai_eval.result.fields import Document
from xai_eval.result.result import Result

Facts = Any
_MODEL = "model"
_LAYER = "layer "
_KINDS = {
    "logits of classes that exclude each other (softmax gives probabilities)": "logits",
    "probabilities of classes that exclude each other": "probabilities",
    "one number for two classes (sigmoid gives the probability of the second)": "binary",
    "several labels, each of which is there or not (sigmoid gives probabilities)": "multilabel",
    "values": "regression",
    "a map per class (softmax at each place; shown is the share of the image)": "segmentation",
    "a map of probabilities per class (shown is the share of the image)": "segmentation",
    "features of the image (shown is their cosine similarity to those of each reference)": "embedding",
    "boxes, each with a class and a score (shown is the best score of each class)": "detection",
}
# By how a reason begins: what it says of the numbers that is a fact.
_REASONS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("given", {}),
    ("found: they are never negative and sum to 1", {"numbers": "", "beside": ""}),
    ("found: it has an axis for rows and columns, and", {"probabilities": True, "numbers": "", "beside": ""}),
    ("found: it has an axis for rows and columns; ", {"probabilities": True, "numbers": "", "beside": ""}),
    ("found: it has an axis for rows and columns", {"probabilities": False, "numbers": "", "beside": ""}),
    ("found: it returns boxes", {}),
    ("found: the configuration of the model says so", {}),
    ("found: they are probabilities already", {"probabilities": True, "numbers": "", "beside": ""}),
    ("found: the last step is a sigmoid", {"probabilities": True, "numbers": "", "beside": ""}),
    ("found: they are log-probabilities", {"numbers": "log-probabilities", "beside": ""}),
    ("assumed (--output says otherwise)", {"numbers": "", "beside": ""}),
    ("assumed, because two classes are named", {"probabilities": False, "numbers": "", "beside": ""}),
    ("assumed, because they lie between 0 and 1, to be", {"probabilities": True}),
    (
        "assumed, although all its numbers for two images of noise lie between",
        {"numbers": "between 0 and 1", "beside": ""},
    ),
    ("assumed, although none of its numbers", {"numbers": "never negative", "beside": ""}),
    ("assumed, although its rows", {"numbers": "of length 1", "beside": ""}),
    ("assumed, although it is as large as the input", {"numbers": "as large as the input", "beside": ""}),
)
_ENTRY = re.compile(r"^entry (\S+) of the output; ")
_FIRST_OF = re.compile(r"^assumed, because it is the first of (\d+) with (\d+) numbers each")
_FIRST = re.compile(r"^assumed, because it is the first: it has (\d+) (?:numbers|maps), another entry has (\d+)")
_YES = re.compile(r"^(yes|no)(?:, .*)?$|^takes single images only$")
_MAPS = re.compile(r"maps (\(channels, h, w\)|\(h, w, channels\)) of (\d+) x (\d+) places")
_TOKENS = re.compile(r"tokens, (\d+) x (\d+) places(?: and (.+) them)?")
_GIVEN = re.compile(r"(\d+) x (\d+) places, laid out by the given function ?(.*)")
_OTHERS = re.compile(r"(\d+) (before|in the middle of|behind)")
_GRADIENTS = {"gradients reach its places": True, "no gradient reaches its places": False}


def with_facts(obtained: Result, golden: Result) -> tuple[Result, Result]:
    """Return a result and its golden; if one of them describes its model in sentences alone, with the facts in them.

    Facts that its sentences do not tell are taken to be those of the other: they are unwatched.
    """
    now, was = obtained.fields.get(_MODEL), golden.fields.get(_MODEL)
    if not (isinstance(now, Document) and isinstance(was, Document)) or now.facts == was.facts:
        return obtained, golden
    return _of(obtained, _completed(now, was)), _of(golden, _completed(was, now))


def in_other_words(obtained: Result, golden: Result) -> str:
    """Say what of a model is described in other words with the same facts, with a space before it; or nothing."""
    now, was = obtained.fields.get(_MODEL), golden.fields.get(_MODEL)
    if not (isinstance(now, Document) and isinstance(was, Document)):
        return ""
    both = [name for name, each in now.facts.items() if name in was.facts and was.facts[name] == each]
    other = [name for name in both if now.content.get(name) != was.content.get(name)]
    if not other:
        return ""
    return f" The golden describes the model in other words, with the same facts: {', '.join(other)}."


def _of(result: Result, model: Document) -> Result:
    if model is result.fields[_MODEL]:
        return result
    return dataclasses.replace(result, fields={**result.fields, _MODEL: model})


def _completed(own: Document, other: Document) -> Document:
    """Return a description with all facts of the other one that it does not deny."""
    told = {name: own.facts.get(name, _facts(name, own.content.get(name))) for name in other.facts}
    facts = {name: _filled(each, other.facts[name]) for name, each in told.items() if each is not None}
    alone = {name: each for name, each in own.facts.items() if name not in other.facts}
    return own if own.facts == {**facts, **alone} else dataclasses.replace(own, facts={**facts, **alone})


def _filled(own: Facts, other: Facts) -> Facts:
    return {**other, **own} if isinstance(own, Mapping) and isinstance(other, Mapping) else own


def _facts(entry: str, text: object) -> Facts | None:
    """Return the facts in the text of an entry, as an earlier version wrote it; None if it wrote no such text."""
    if not isinstance(text, str):
        return None
    read = _READ.get(entry, _of_layer if entry.startswith(_LAYER) else None)
    return read(text) if read else None


def _of_output(text: str) -> Facts | None:
    place = _ENTRY.match(text)
    rest = text[place.end() :] if place else text
    meaning = next((each for each in _KINDS if rest.startswith(f"{each}; ")), None)
    if meaning is None:
        return None
    reason, kind = rest[len(meaning) + 2 :], _KINDS[meaning]
    told = _of_reason(reason)
    if told is None:
        return None
    of_maps = {"probabilities": "probabilities" in meaning} if kind == "segmentation" else {}
    return {"kind": kind, "entry": place[1] if place else "", **of_maps, **told}


def _of_reason(reason: str) -> Mapping[str, Any] | None:
    several, other = _FIRST_OF.match(reason), _FIRST.match(reason)
    if several:
        return {"beside": f"{int(several[1]) - 1} of {several[2]}"}
    if other:
        return {"beside": other[2]}
    return next((facts for beginning, facts in _REASONS if reason.startswith(beginning)), None)


def _of_answer(text: str) -> Facts | None:
    found = _YES.match(text)
    return None if found is None else found[1] or text


def _of_layer(text: str) -> Facts | None:
    layout, _, reached = text.rpartition("; ")
    if reached not in _GRADIENTS:
        return None
    maps, tokens, given = (each.fullmatch(layout) for each in (_MAPS, _TOKENS, _GIVEN))
    facts: dict[str, Any]
    if maps:
        facts = {"form": f"maps {maps[1]}", "places": f"{maps[2]} x {maps[3]}"}
    elif tokens:
        others = {where: int(number) for number, where in _OTHERS.findall(tokens[3] or "")}
        counts = [others.get(where, 0) for where in ("before", "in the middle of", "behind")]
        facts = {"form": "tokens", "places": f"{tokens[1]} x {tokens[2]}", "others": counts}
    elif given:
        facts = {"form": f"given {given[3]}".rstrip(), "places": f"{given[1]} x {given[2]}"}
    else:
        return None
    return {**facts, "gradients": _GRADIENTS[reached]}


_READ: Mapping[str, Callable[[str], Facts | None]] = {
    "output": _of_output,
    "same answer twice": _of_answer,
    "same answer alone and in a batch": _of_answer,
    "writes into its input": _of_answer,
}
