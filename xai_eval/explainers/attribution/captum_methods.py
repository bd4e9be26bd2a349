"""Attributions by captum. The library computes every attribution; the functions here only call it.

Each takes a `Question` and returns an attribution of the shape of the input, (1, C, H, W).
"""

from __future__ import annotations

from captum.attr import GradientShap, InputXGradient, IntegratedGradients, NoiseTunnel, Occlusion, Saliency
from torch import Tensor

from xai_eval.explainers.attribution.question import Question
from xai_eval.explainers.model.random_state import noise_of_the_cpu


def saliency(question: Question) -> Tensor:
    """Absolute value of the gradient (Simonyan et al. 2014), so that no pixel speaks against the class."""
    found: Tensor = Saliency(question.module).attribute(question.batch, target=question.target)
    return found


def input_x_gradient(question: Question) -> Tensor:
    """Input times gradient (Shrikumar et al. 2016)."""
    found: Tensor = InputXGradient(question.module).attribute(question.batch, target=question.target)
    return found


def integrated_gradients(question: Question) -> Tensor:
    """Gradients along the straight path from the baseline to the image (Sundararajan et al. 2017)."""
    found: Tensor = IntegratedGradients(question.module).attribute(
        question.batch,
        baselines=question.baseline,
        target=question.target,
        n_steps=question.settings.steps,
        internal_batch_size=question.settings.batch_size,
    )
    return found


def smoothgrad(question: Question) -> Tensor:
    """Mean of the saliency over noisy copies of the image (Smilkov et al. 2017), absolute as `saliency` is."""
    settings, values = question.settings, question.batch.detach()
    with noise_of_the_cpu(values.device):
        found: Tensor = NoiseTunnel(Saliency(question.module)).attribute(
            question.batch,
            nt_type="smoothgrad",
            nt_samples=settings.samples,
            nt_samples_batch_size=min(settings.batch_size, settings.samples),
            stdevs=settings.noise * float(values.max() - values.min()),
            target=question.target,
        )
    return found


def occlusion(question: Question) -> Tensor:
    """By how much the score falls if a square is hidden, averaged over the squares on a pixel (Zeiler, Fergus 2014)."""
    channels, height, width = question.batch.shape[1:]
    side = window_side(height, width, question.settings.window)
    stride = max(1, side // 2)
    found: Tensor = Occlusion(question.module).attribute(
        question.batch,
        sliding_window_shapes=(channels, side, side),
        strides=(channels, stride, stride),
        baselines=question.baseline,
        target=question.target,
        perturbations_per_eval=question.settings.batch_size,
    )
    return found


def window_side(height: int, width: int, share: float) -> int:
    """Return the side of the square that occlusion hides, in pixels."""
    return max(1, round(share * min(height, width)))


def gradient_shap(question: Question) -> Tensor:
    """Expected gradients at random points between baseline and image (Lundberg and Lee 2017)."""
    found: Tensor = GradientShap(question.module).attribute(
        question.batch, baselines=question.baseline, n_samples=question.settings.samples, target=question.target
    )
    return found
