"""Parameters of tasks, read from signatures: their types, how the command line reads them, and their help texts.

A parameter is defined once, as a keyword-only argument of its task:
`num_samples: Annotated[int, Option("perturbed images per seed")] = 1000`. Nothing here imports more than the standard
library, so that `--help` and `xai-eval list` start fast.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal

from xai_eval.errors import UsageError, unknown_name

# Options of the commands that measure, and arguments of `evaluate`. A parameter of such a name could not be set.
RESERVED = frozenset(
    (
        "box",
        "device",
        "dry_run",
        "engine",
        "golden",
        "gpus_per_worker",
        "help",
        "images",
        "json",
        "model",
        "old_model",
        "out",
        "output",
        "precision",
        "profile",
        "quiet",
        "reshape",
        "results",
        "resume",
        "similar_to",
        "suite",
        "task",
        "tasks",
        "workers",
    )
)


@dataclass(frozen=True)
class Option:
    """Help text and limits of a parameter, given as `Annotated[int, Option("...")]` in the signature of a task.

    Attributes:
        help: what the parameter means, in a few words without a full stop.
        metavar: placeholder for the value in help texts, such as `N`; made from the type if empty.
        default: description of what is used if the parameter is None.
        least: the smallest allowed number; no limit if None.
        most: the largest allowed number; no limit if None.
        file: whether it is the path of a file. In a configuration file such a path is relative to that file.
    """

    help: str = ""
    metavar: str = ""
    default: str = ""
    least: float | None = None
    most: float | None = None
    file: bool = False


@dataclass(frozen=True)
class _Kind:
    """One type that the value of a parameter may have.

    Attributes:
        name: name of the type in listings.
        words: description of an expected value in error messages.
        accepts: tells whether a value has the type.
        read: converts a word of the command line to a value; raises ValueError if it cannot.
        metavar: placeholder for a value in help texts.
    """

    name: str
    words: str
    accepts: Callable[[Any], bool]
    read: Callable[[str], Any]
    metavar: str


def _true_or_false(word: str) -> bool:
    return {"true": True, "false": False}[word.lower()] if word.lower() in ("true", "false") else _refuse(word)


def _refuse(word: str) -> bool:
    raise ValueError(word)


def _is_finite(value: Any) -> bool:
    """Tell whether a value is a finite number, because a case can store no others."""
    return isinstance(value, int | Real) and not isinstance(value, bool) and math.isfinite(value)


_SCALARS = {
    bool: _Kind("bool", "true or false", lambda v: isinstance(v, bool), _true_or_false, "BOOL"),
    int: _Kind("int", "a whole number", lambda v: isinstance(v, Integral) and not isinstance(v, bool), int, "N"),
    float: _Kind("float", "a number", _is_finite, float, "X"),
    str: _Kind("str", "text", lambda v: isinstance(v, str), str, "NAME"),
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a task.

    Attributes:
        name: name in Python and in the case; the command line writes hyphens for underscores.
        kinds: the allowed types.
        many: whether it takes several values of these types.
        pairs: whether it takes a mapping, written `NAME=VALUE` on the command line.
        choices: the allowed values; empty if every value of the types is allowed.
        optional: whether None is allowed.
        open: whether Python code may also give an object that cannot be written on the command line.
        default: the value if none is given.
        option: its help text and limits.
    """

    name: str
    kinds: tuple[_Kind, ...]
    many: bool
    pairs: bool
    choices: tuple[Any, ...]
    optional: bool
    open: bool
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """Name on the command line, such as `--num-samples`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def metavar(self) -> str:
        """Placeholder for the value in help texts, such as `N`."""
        if self.option.metavar:
            return self.option.metavar
        if self.pairs:
            return "NAME=VALUE"
        return f"{{{','.join(map(str, self.choices))}}}" if self.choices else self.kinds[0].metavar

    @property
    def type_name(self) -> str:
        """Type as text, such as `str or int`, `list of str` or `mapping`."""
        names = " or ".join(kind.name for kind in self.kinds)
        return "mapping" if self.pairs else f"list of {names}" if self.many else names

    @property
    def default_words(self) -> str:
        """Default as text."""
        if self.default is None:
            return self.option.default or "none"
        if isinstance(self.default, Mapping):
            return " ".join(f"{name}={_as_word(value)}" for name, value in self.default.items()) or "none"
        if isinstance(self.default, Collection) and not isinstance(self.default, str):
            return " ".join(map(str, self.default)) or "none"
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    def check(self, value: Any) -> None:
        """Raise UsageError unless `value` has a type, and is one of the choices, that the signature allows."""
        if self.open or (value is None and self.optional):
            return
        if self.pairs:
            fits = isinstance(value, Mapping)
        elif self.many and not isinstance(value, str):
            fits = isinstance(value, Collection) and all(map(self._accepts, value))
        else:
            # A single text fits where several are expected, because Python treats it as a sequence of texts. The task
            # decides about it.
            fits = self._accepts(value)
        if not fits:
            raise UsageError(f"{self.name} is {value!r}; expected {self._expected}.")
        self._check_choice(value)

    def read(self, words: str | Sequence[str]) -> Any:
        """Convert words of the command line to a value. Raises UsageError if they do not fit the parameter."""
        listed = [words] if isinstance(words, str) else list(words)
        if self.pairs:
            return self._read_pairs(listed)
        if not self.many and len(listed) > 1:
            raise UsageError(f"{self.flag} is {' '.join(listed)!r}; expected {self._expected}.")
        values = [self._read_one(word) for word in listed]
        value = values if self.many else values[0]
        self._check_choice(value)
        return value

    @property
    def _expected(self) -> str:
        if self.pairs:
            return "names with values"
        words = " or ".join(kind.words for kind in self.kinds)
        least, most = self.option.least, self.option.most
        if least is not None:
            words += f", at least {least}" if most is None else f" from {least} to {most}"
        elif most is not None:
            words += f", at most {most}"
        return f"several values, each {words}" if self.many else words

    def _accepts(self, value: Any) -> bool:
        if not any(kind.accepts(value) for kind in self.kinds):
            return False
        least, most = self.option.least, self.option.most
        return isinstance(value, str) or ((least is None or value >= least) and (most is None or value <= most))

    def _check_choice(self, value: Any) -> None:
        for each in value if self.many and not isinstance(value, str) else [value]:
            if self.choices and each not in self.choices:
                raise unknown_name(self.name.replace("_", " "), str(each), map(str, self.choices))

    def _read_one(self, word: str) -> Any:
        # Text is tried first and always fits: otherwise a class named 007 would be read as the number 7.
        for kind in sorted(self.kinds, key=lambda each: each.name != "str"):
            with contextlib.suppress(ValueError):
                value = kind.read(word)
                if self._accepts(value):
                    return value
        raise UsageError(f"{self.flag} is {word!r}; expected {self._expected}.")

    def _read_pairs(self, words: Sequence[str]) -> dict[str, Any]:
        pairs = [word.partition("=") for word in words]
        for name, equals, value in pairs:
            if not (name and equals and value):
                raise UsageError(f"{self.flag}: {name + equals + value!r} is not of the form NAME=VALUE.")
        return {name: _number_or_text(value) for name, _, value in pairs}


def _number_or_text(text: str) -> Any:
    """Convert a text with commas to a list, a number to int or float, and return any other text unchanged."""
    if "," in text:
        return [_number_or_text(part) for part in text.split(",")]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            number = kind(text)
            if abs(number) < math.inf:
                return number
    return text


def _as_word(value: Any) -> str:
    """Return a value as the text that `_number_or_text` reads."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read_signature(function: Callable[..., Any], where: str) -> dict[str, Parameter]:
    """Return the parameters of a task by name.

    Args:
        function: `(classifier, images, *, parameters...)`.
        where: name of the task for error messages.

    Raises:
        UsageError: a task cannot have this signature.
    """
    every = inspect.signature(function).parameters
    kinds = [each.kind for each in every.values()]
    positional = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) + kinds.count(inspect.Parameter.POSITIONAL_ONLY)
    variable = inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.VAR_KEYWORD in kinds
    if positional != 2 or variable:
        raise UsageError(
            f"{where} has the signature ({', '.join(map(str, every.values()))}); expected (classifier, images, *, "
            "parameters...): two arguments, and after a star each parameter with its type and its default."
        )
    named = [each for each in every.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    names = _Names(getattr(inspect.unwrap(function), "__globals__", {}))
    return {each.name: _parameter(each, names, where) for each in named}


class _Names(dict[str, Any]):
    """The names that an annotation may use. A name that only type checkers import is unknown here and becomes `Any`."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        super().__init__(known)

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


def _parameter(given: inspect.Parameter, names: _Names, where: str) -> Parameter:
    if given.name in RESERVED:
        raise UsageError(
            f"{where} has a parameter {given.name}, which is an option of the command line already. Rename it; these "
            f"names are taken: {', '.join(sorted(RESERVED))}."
        )
    if given.default is inspect.Parameter.empty:
        raise UsageError(
            f"parameter {given.name} of {where} has no default. Give it one, because a task must run without options."
        )
    annotation = given.annotation
    if annotation is inspect.Parameter.empty:
        raise UsageError(f"parameter {given.name} of {where} has no type. Write {given.name}: int, for instance.")
    try:
        found = eval(annotation, {}, names) if isinstance(annotation, str) else annotation
    except Exception as error:
        raise UsageError(
            f"the type {annotation} of parameter {given.name} of {where} cannot be evaluated: {error}."
        ) from error
    option = Option()
    if typing.get_origin(found) is Annotated:
        found, *notes = typing.get_args(found)
        option = next((note for note in notes if isinstance(note, Option)), option)
    members = tuple(_members(found))
    parameter = _of_types(given.name, members, given.default, option)
    if parameter is None:
        raise UsageError(
            f"parameter {given.name} of {where} has the type {annotation}, which the command line cannot read. "
            "Expected int, float, str, bool, Literal[...], Sequence[...] of one of them, Mapping[str, Any], or one of "
            "them | None."
        )
    try:
        parameter.check(given.default)
    except UsageError as error:
        raise UsageError(f"the default of parameter {given.name} of {where} is not a valid value: {error}") from error
    return parameter


def _members(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _members(each)
    else:
        yield annotation


def _of_types(name: str, members: Sequence[Any], default: Any, option: Option) -> Parameter | None:
    """Return the parameter; None if its value could not be written on the command line."""
    origins = [typing.get_origin(each) or each for each in members]
    pairs = any(isinstance(each, type) and issubclass(each, Mapping) for each in origins)
    lists = [each for each in members if _is_list(typing.get_origin(each) or each)]
    inner = [part for each in lists for part in _members((*typing.get_args(each), str)[0])]
    scalars = inner or list(members)
    choices = tuple(c for each in scalars if typing.get_origin(each) is Literal for c in typing.get_args(each))
    kinds = dict.fromkeys([*(type(choice) for choice in choices), *(each for each in scalars if each in _SCALARS)])
    if not pairs and not kinds:
        return None
    return Parameter(
        name=name,
        kinds=tuple(_SCALARS[kind] for kind in kinds if kind in _SCALARS),
        many=bool(lists),
        pairs=pairs,
        choices=choices,
        optional=type(None) in members or default is None,
        open=Any in members,
        default=default,
        option=option,
    )


def _is_list(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Sequence) and not issubclass(origin, str | bytes)
