"""Where a run computes: in this process, or on the workers of a Ray cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xai_eval.errors import UsageError, unknown_name

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)


@dataclass(frozen=True)
class Engine:
    """Where a run computes.

    Attributes:
        name: `local` or `ray`.
        workers: number of workers; as many as fit if None.
        gpus_per_worker: GPUs of each worker, such as 0.5; one if None, and none if the device is a CPU.

    Raises:
        UsageError: the name is unknown, or a number is not above 0.
    """

    name: str = LOCAL
    workers: int | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise unknown_name("engine", self.name, ENGINES)
        if self.workers is not None and (type(self.workers) is not int or self.workers < 1):
            raise UsageError(f"workers is {self.workers!r}; expected a whole number, at least 1.")
        gpus = self.gpus_per_worker
        number = isinstance(gpus, int | float) and not isinstance(gpus, bool)
        if gpus is not None and not (number and math.isfinite(gpus) and gpus > 0):
            raise UsageError(f"gpus_per_worker is {gpus!r}; expected a number above 0, such as 0.5.")


IN_THIS_PROCESS = Engine()
