"""Networks that faults are tried on besides the bundled ones, as factories for `file:` specs."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def with_registers() -> nn.Module:
    """A transformer of timm with a class token and four register tokens, for images of 32 px; not trained."""
    from small_transformers import FAMILIES

    return FAMILIES["timm vit, registers"].made()
