"""What a worker gets of a machine, and how many workers fit. Nothing here needs Ray."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from xai_eval.errors import UsageError


@dataclass(frozen=True)
class Node:
    """A machine of a cluster: how many cores and GPUs it offers."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class Share:
    """What one worker gets.

    Attributes:
        threads: number of threads that it computes with.
        gpus: number of GPUs; below 1, several workers share one; 0 to compute on a CPU.
    """

    threads: int
    gpus: float = 0.0

    @property
    def cpus(self) -> int:
        """Cores that are set aside for it. A worker with a GPU is hardly ever on more than one core."""
        return 1 if self.gpus else self.threads

    @property
    def words(self) -> str:
        """The share as text for people."""
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''} each"
        return f"{threads}, on {self.gpus:g} of a GPU" if 0 < self.gpus < 1 else f"{threads}{self._whole_gpus}"

    @property
    def _whole_gpus(self) -> str:
        return f", on {self.gpus:g} GPU{'s' if self.gpus != 1 else ''}" if self.gpus else ""

    def fits(self, node: Node) -> int:
        """Return how many such workers fit on a machine."""
        by_cores = math.floor(node.cpus / self.cpus)
        if not self.gpus:
            return by_cores
        # A share of a GPU lies on one GPU. The margin is for shares such as 0.1, which no float is exactly.
        per_gpu = math.floor(1 / self.gpus + 1e-6)
        by_gpus = math.floor(node.gpus) * per_gpu if self.gpus <= 1 else math.floor(node.gpus / self.gpus)
        return min(by_cores, by_gpus)


def share_of(device: str, threads: int, gpus: float | None) -> Share:
    """Return what a worker gets.

    Args:
        device: kind of device that it computes on, such as `cpu` or `cuda`.
        threads: number of threads of this process; a worker gets as many, because sums depend on them.
        gpus: number of GPUs that was asked for; one if None, on a CPU none.

    Raises:
        UsageError: GPUs were asked for, but it computes on a CPU; or the number is not one that Ray can give.
    """
    if gpus is None:
        return Share(threads, 0.0 if device == "cpu" else 1.0)
    if device == "cpu":
        raise UsageError("--gpus-per-worker is given, but the device is the CPU. Leave it out, or add --device cuda.")
    if not (0 < gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
        raise UsageError(f"--gpus-per-worker is {gpus:g}; expected a share up to 1, such as 0.25, or a whole number.")
    return Share(threads, float(gpus))


def workers_for(share: Share, nodes: Iterable[Node], wanted: int | None) -> int:
    """Return how many workers to start: as many as are wanted, or else as many as fit on the machines now.

    More may be wanted than fit: where a cluster grows with what is asked for, the others start later.

    Raises:
        UsageError: no machine of the cluster has room for one.
    """
    machines = list(nodes)
    room = sum(map(share.fits, machines))
    if room == 0 and wanted is None:
        largest = max((node.cpus for node in machines), default=0)
        gpus = max((node.gpus for node in machines), default=0)
        raise UsageError(
            f"no machine of the Ray cluster has room for a worker: it needs {share.cpus} cores"
            f"{f' and {share.gpus:g} GPUs' if share.gpus else ''}, and the largest has {largest:g} cores and {gpus:g} "
            "GPUs. A worker uses as many threads as this process: set OMP_NUM_THREADS=1 for workers of one thread, or "
            "say with --workers how many will be there."
        )
    return wanted or room
