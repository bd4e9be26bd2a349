"""The process on a cluster that computes what an order asks for. Nothing heavy is imported before it is set up."""

from __future__ import annotations

import copy
import os
import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from xai_eval.errors import InputUnavailable, error_line
from xai_eval.freed_memory import keep_freed_memory

Told = Callable[[], Mapping[str, str]]


class Order(Protocol):
    """What is to be computed: travels to each worker once."""

    def begin(self) -> Callable[[Any], Any]:
        """Prepare the work, such as load a model, and return the function that computes one item."""
        ...


@dataclass(frozen=True)
class Home:
    """How a worker begins.

    Attributes:
        folder: its working directory, that of the process which started it.
        told: returns what results depend on besides the order, by name. It has to be the same in every process.
    """

    folder: str
    told: Told


@dataclass(frozen=True)
class Failed:
    """Stands for the value of an item whose computation raised an error."""

    error: Exception


class Worker:
    """Computes items of one order after the other. What an order prepares is kept until another order comes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._order, self._compute = "", _nothing

    def hello(self) -> Mapping[str, str] | Failed:
        """Enter the working directory, and tell what this process is like."""
        keep_freed_memory()
        try:
            os.chdir(self._home.folder)
        except OSError as error:
            return Failed(
                InputUnavailable(
                    f"the worker on {platform.node()} cannot enter {self._home.folder} ({error.strerror}). Start the "
                    "command in a folder that all machines of the cluster share under the same path."
                )
            )
        return self._home.told()

    def work(self, name: str, order: Sequence[Any], item: Any) -> Any:
        """Compute one item. An error of the computation is returned, because Ray would wrap it into another one.

        Args:
            name: tells orders apart.
            order: holds Ray's reference to the order, which is fetched only if it is a new one.
            item: what to compute.
        """
        try:
            if self._order != name:
                self._begin(name, order[0])
            return self._compute(item)
        except Exception as error:  # code of the user may raise anything
            error.add_note(f"In a worker on {platform.node()}:\n{traceback.format_exc().rstrip()}")
            return Failed(portable(error))

    def _begin(self, name: str, order: Any) -> None:
        import ray

        self._order, self._compute = "", _nothing  # the model before leaves the memory first
        self._compute = ray.get(order).begin()
        self._order = name


def _nothing(_item: Any) -> Any:
    raise RuntimeError("no order has begun")


def portable(error: Exception) -> Exception:
    """Return an error that another process can read: itself, or one of its kind that says the same."""
    import ray

    with suppress(Exception):  # that of a library may refuse in any way
        again = copy.copy(error)  # made again as another process does it
        if (type(again), str(again)) == (type(error), str(error)) and ray.cloudpickle.dumps(error):
            return error
    return RuntimeError(error_line(error))
