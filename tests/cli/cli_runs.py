"""A small real network, and how runs of it are started."""

from xai_eval.cli.main import main

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    class_names = ("cold", "warm", "green")

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 7, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return 3 + self.head(self.features(x).mean((2, 3)))

def net(): return Net(0)
def retrained(): return Net(1)

class Bad(Net):
    def __init__(self, change):
        super().__init__(0)
        self.change = change

    def forward(self, x):
        return self.change(super().forward(x))

class Raises(Net):
    # Fails as it is told, but not on the image of zeros that the layer is looked for with.

    def __init__(self, error, after=0):
        super().__init__(0)
        self.error, self.left = error, after

    def forward(self, x):
        if x.abs().sum() > 0:
            self.left -= 1
            if self.left < 0:
                raise self.error
        return super().forward(x)

def raises_key(): return Raises(KeyError("boom"))
def raises_assertion(): return Raises(AssertionError("boom"))
def raises_without_text(): return Raises(RuntimeError())
def raises_memory(): return Raises(MemoryError())
def exits(): return Raises(SystemExit(0))
def raises_late(): return Raises(RuntimeError("boom\\nmore"), after=22)

class Detaches(Net):
    # The scores depend on the layer, but no gradient gets back to it.

    def forward(self, x):
        return 3 + self.head(self.features(x).mean((2, 3)).detach())

def detaches(): return Detaches(0)
def returns_nan(): return Bad(lambda y: y * float("nan"))
def returns_text(): return Bad(lambda y: "a cat")
def returns_class(): return Bad(lambda y: y.argmax(1))
"""


def run(*arguments, model="net", images="photos"):
    return main(["run", "cams", "--quiet", "--model", f"file:nets.py:{model}", "--images", images, *arguments])


def accept_all(reason="first"):
    return main(["accept", "--all", "--reason", reason])
