"""The workers of a run: started, checked, and replaced when they are lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xai_eval.cluster.shares import Share
from xai_eval.cluster.worker import Failed, Home, Worker
from xai_eval.errors import InputUnavailable, error_line

_NAMED = 3  # differences that a sentence spells out
_MOST_UNBORN = 8  # workers that end one after the other before they begin
_LONGEST = 40  # characters of a value that a sentence spells out


@dataclass(eq=False)
class Member:
    """A worker.

    Attributes:
        actor: Ray's handle of it. The worker ends when nobody has the handle any more.
        hello: Ray's reference to its first answer.
        ready: whether it has answered.
    """

    actor: Any
    hello: Any
    ready: bool = False


class Crew:
    """The workers that one run has at the same time."""

    def __init__(self, ray: Any, home: Home, share: Share, environment: Mapping[str, str]) -> None:
        self._ray, self._home = ray, home
        self._expected: Mapping[str, str] | None = None
        self._unborn = 0
        self._kind = ray.remote(Worker).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus or None,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": dict(environment)},
        )
        self.members: list[Member] = []

    def fill(self, count: int) -> None:
        """Start workers until there are `count`. They answer when a machine has room for them."""
        while len(self.members) < count:
            actor = self._kind.remote(self._home)
            self.members.append(Member(actor, actor.hello.remote()))

    @property
    def ready(self) -> list[Member]:
        """The workers that can compute."""
        return [each for each in self.members if each.ready]

    @property
    def coming(self) -> list[Any]:
        """References to the first answers that are still to come."""
        return [each.hello for each in self.members if not each.ready]

    def answered(self, hello: Any) -> None:
        """Check the first answer of a worker.

        Raises:
            InputUnavailable: the worker is not like this process, or cannot begin.
        """
        member = next(each for each in self.members if each.hello == hello)
        try:
            told = self._ray.get(hello)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            self.lose(member)
            self._count_unborn(error_line(error))
            return
        if isinstance(told, Failed):
            raise told.error
        if self._expected is None:
            self._expected = self._home.told()
        require_same(self._expected, told)
        member.ready, self._unborn = True, 0

    def _count_unborn(self, reason: str) -> None:
        self._unborn += 1
        if self._unborn >= _MOST_UNBORN:
            raise InputUnavailable(
                f"{_MOST_UNBORN} workers of the Ray cluster ended before they began, the last one with: {reason}. "
                "Look at the logs of Ray: a machine may have too little memory."
            )

    def lose(self, member: Member) -> None:
        """Let go of a worker that does not answer any more."""
        if member in self.members:
            self.members.remove(member)
            self._ray.kill(member.actor)


def require_same(here: Mapping[str, str], there: Mapping[str, str]) -> None:
    """Raise InputUnavailable if a worker differs from this process in anything that results depend on."""
    differing = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    if not differing:
        return
    listed = "; ".join(_difference(name, here, there) for name in differing[:_NAMED])
    more = f"; {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    raise InputUnavailable(
        f"a worker of the Ray cluster differs from this process, so its results might differ, too: {listed}{more}. Use "
        "the same environment on all machines, and machines of one kind."
    )


def _difference(name: str, here: Mapping[str, str], there: Mapping[str, str]) -> str:
    values = here.get(name, "none"), there.get(name, "none")
    short = max(map(len, values)) <= _LONGEST
    return f"{name} ({values[0]} here, {values[1]} there)" if short else name
