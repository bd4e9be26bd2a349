"""Names of fields, columns and measures as people read them: the same words in findings, on the page and in figures."""

from __future__ import annotations

import re

from xai_eval.result.glossary import term

# Methods as their authors write them.
_TITLES = {
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "scorecam": "ScoreCAM",
    "ablationcam": "AblationCAM",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "hirescam": "HiResCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "fullgrad": "FullGrad",
    "input_x_gradient": "input × gradient",
    "integrated_gradients": "integrated gradients",
    "smoothgrad": "SmoothGrad",
    "gradient_shap": "gradient SHAP",
    "attention_rollout": "attention rollout",
    "generic_attention": "gradient-weighted attention",
    "lime": "LIME",
    "lime_top5": "LIME, best five",
    "segments": "superpixels",
    "gradcam_focus": "Grad-CAM, focus",
    "lime_focus": "LIME, focus",
    "image": "original",
    "table": "measures",
    "audit": "target warning",
}

_ACRONYMS = {
    "iou": "IoU",
    "id": "ID",
    "clip": "CLIP",
    "top5": "top 5",
    "r2": "R²",
    "gradcam": "Grad-CAM",
    "lime": "LIME",
    "pixel": "pixel labels",
}
# Arguments of LIME, where a sentence or a column of a result names them.
_ARGUMENTS = {
    "num_samples": "number of samples",
    "num_features": "limit of superpixels",
    "top_labels": "number of fitted classes",
    "batch_size": "batch size",
}
_LAYER = "_layer"
_WORD = re.compile(r"\w+(?:\+\+)?")
_EVERYDAY = {"lime", "image", "segments", "table", "audit"}


def title(name: str) -> str:
    """Return the heading of a field: `gradcam` -> 'Grad-CAM', `gradcam_layer` -> 'Grad-CAM at the layer'."""
    base = name.removesuffix(_LAYER)
    text = _TITLES.get(base, words(base))
    return f"{text} at the layer" if name.endswith(_LAYER) else text


def words(name: str) -> str:
    """Return an identifier as words: `iou_equal_area` -> 'IoU at equal area'."""
    known = term(name)
    if known is not None or name in _ARGUMENTS:
        return known.words if known else _ARGUMENTS[name]
    return " ".join(_ACRONYMS.get(word, word) for word in name.replace("_", " ").split())


def named(text: str) -> str:
    """Return text that is made of identifiers, such as 'sum_of_both against gradcam', in words."""
    return _WORD.sub(lambda found: title(found[0]), text)


def of_task(task: str, model: str) -> str:
    """Return which task on which model, such as 'cams on scenes:objects'; the task alone if no model is known."""
    return f"{task} on {model}" if model else task


def plain(sentence: str) -> str:
    """Return a sentence with the names of methods and measures in words; all else, such as class names, stays."""
    return _WORD.sub(lambda found: title(found[0]) if _is_name(found[0]) else found[0], sentence)


def _is_name(word: str) -> bool:
    """Whether a word can be nothing but the name of a method or a measure: `lime` may be a fruit."""
    base = word.removesuffix(_LAYER)
    if base in _TITLES and base not in _EVERYDAY:
        return True
    return "_" in word and (term(word) is not None or word in _ARGUMENTS)
