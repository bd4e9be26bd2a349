"""Names of stages as people read them: no name of a method or of a part of the network stands there unexplained."""

from __future__ import annotations

from xai_eval.result.naming import plain
from xai_eval.result.stage import Stage, StageKind, in_model

# Stages that a result has once for each block of a network. Without a word beside it, the name of a block is a riddle.
OF_BLOCKS = frozenset(
    {
        StageKind.MODULE_TYPES,
        StageKind.TRAINING_FLAGS,
        StageKind.HOOKS,
        StageKind.MODEL_WEIGHTS,
        StageKind.CLIP_MODULE_TYPES,
        StageKind.CLIP_TRAINING_FLAGS,
        StageKind.CLIP_HOOKS,
        StageKind.CLIP_WEIGHTS,
    }
)


def stage_words(stage: Stage) -> str:
    """Return such as 'input tensor', 'raw map of Grad-CAM' or 'model weights of the block "conv1"'."""
    if stage.of and stage.kind in OF_BLOCKS:
        return in_model(f'{stage.kind} of the block "{stage.of}"', stage.model)
    return plain(str(stage))
