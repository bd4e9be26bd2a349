"""The table: networks of all kinds that people bring, and what is expected of each.

Layers are the expected ones by hand. Of a network that ends in attention, it is what the last attention reads: the
first norm of the last block; if norms come after the attention (Swin v2), the block before the last; if attention
works on windows as entries of their own (MaxViT of torchvision, NesT), the last map before these are cut; if a class
token alone reads the others at the end (CaiT, SigLIP), the norm before that; if attention makes fewer places between
stages and nothing is at its place behind it (LeViT, untrained), the stage before it. Of a network that is
convolutional, or ends in convolutions (MobileViT), it is the last block with a map, and of an MLP-Mixer the last norm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import clip_nets as clip
import detection_nets as detection
import efficientnet_lite
import head_nets as head
import odd_nets as odd
import odder_nets as odder
import oddest_nets as oddest
import timm_nets as timm
import torch
import torchvision_nets as tv
import transformers_nets as hf
from model_row import Numbers, Row, channels_last, tokens
from torch import nn
from torchvision import transforms

from xai_eval.inputs.models.reading import OutputKind

_SAY_WHICH = "Say which: --output binary, or --output regression"
_SORTED = "numbers in the order of their size (sort, topk)"
_BODY = "backbone.body.4"  # the last convolution of a backbone of `head_nets`

TORCHVISION = (
    Row("resnet18", tv.published("resnet18"), "layer4.1"),
    Row("resnext50_32x4d", tv.published("resnext50_32x4d"), "layer4.2", slow=True),
    Row("regnet_y_400mf", tv.published("regnet_y_400mf"), "trunk_output.block4.block4-5", slow=True),
    Row("convnext", tv.convnext, "features.3.1"),
    Row("efficientnet_b0", tv.published("efficientnet_b0"), "features.8", slow=True),
    Row("mobilenet_v2", tv.published("mobilenet_v2"), "features.18"),
    Row("mobilenet_v3_small", tv.published("mobilenet_v3_small", 96), "features.12", size=96),
    Row("densenet121", tv.published("densenet121"), "features", slow=True),
    Row("inception_v3", tv.published("inception_v3", 128), "Mixed_7c", size=128, slow=True),
    Row("googlenet", tv.published("googlenet"), "inception5b", slow=True),
    Row("vgg11", tv.vgg11_with_a_narrow_head, "features", slow=True),
    Row("squeezenet1_1", tv.published("squeezenet1_1"), "classifier.1"),
    Row("alexnet", tv.published("alexnet", 112), "features", size=112, slow=True),
    Row("shufflenet_v2_x0_5", tv.published("shufflenet_v2_x0_5"), "conv5", slow=True),
    Row("mnasnet0_5", tv.published("mnasnet0_5"), "layers", slow=True),
    Row("maxvit", tv.maxvit, "blocks.1.layers.0.layers.window_attention"),
    Row("swin", tv.swin, "features.3.1.norm1", channels_last),
    Row("swin_v2", tv.swin_v2, "features.3.0", channels_last),
    Row("vit", tv.vit, "encoder.layers.encoder_layer_1.ln_1", tokens(4, 4, 1)),
    Row(
        "vit with an untrained head",
        tv.vit_whose_head_is_untrained,
        refused="All gradients of its scores are 0: are the weights of its last layer untrained zeros?",
    ),
    Row(
        "lraspp (segmentation)",
        tv.lraspp,
        "classifier.cbr",
        numbers=Numbers.SHARE,
        entry=lambda output: output["out"],
        slow=True,
    ),
    Row("ssdlite (detection)", tv.ssdlite, "backbone.features.0.13.1", numbers=Numbers.BOX, slow=True),
)

TIMM = (
    Row("vit_tiny_patch16", timm.small_vit("vit_tiny_patch16_224"), "blocks.1.norm1", tokens(4, 4, 1)),
    Row("vit_base_patch16_clip", timm.small_vit("vit_base_patch16_clip_224"), "blocks.1.norm1", tokens(4, 4, 1)),
    Row("deit_tiny", timm.small_vit("deit_tiny_patch16_224"), "blocks.1.norm1", tokens(4, 4, 1)),
    Row("deit_tiny_distilled", timm.small_vit("deit_tiny_distilled_patch16_224"), "blocks.1.norm1", tokens(4, 4, 2)),
    Row("deit3_small", timm.small_vit("deit3_small_patch16_224"), "blocks.1.norm1", tokens(4, 4, 1)),
    Row("dinov2", timm.small_vit("vit_small_patch14_dinov2", 70), "blocks.1.norm1", tokens(5, 5, 1), size=70),
    Row(
        "dinov2 with registers",
        timm.small_vit("vit_small_patch14_reg4_dinov2", 70),
        "blocks.1.norm1",
        tokens(5, 5, 5),
        size=70,
    ),
    Row(
        "dinov2 without a head",
        timm.small_vit("vit_small_patch14_dinov2", 70, classes=0),
        size=70,
        refused="has no head (num_classes is 0)",
    ),
    Row("eva02_tiny", timm.small_vit("eva02_tiny_patch14_224", 70), "blocks.1.norm1", tokens(5, 5, 1), size=70),
    Row("siglip", timm.small_vit("vit_base_patch16_siglip_224"), "norm", tokens(4, 4)),
    Row("siglip that averages", timm.small_vit("vit_base_patch16_siglip_gap_224"), "blocks.1.norm1", tokens(4, 4)),
    Row("vit_medium_patch16_gap", timm.small_vit("vit_medium_patch16_gap_240"), "blocks.1.norm1", tokens(4, 4)),
    Row("four tokens of many channels", timm.four_tokens, "blocks.0.norm1", tokens(2, 2)),
    Row("vit_relpos", timm.small_vit("vit_relpos_small_patch16_224"), "blocks.1.norm1", tokens(4, 4)),
    Row("naflexvit", timm.small_vit("naflexvit_base_patch16_gap"), "blocks.1.norm1", tokens(4, 4, 4)),
    Row("beit", timm.small_vit("beit_base_patch16_224"), "blocks.1.norm1", tokens(4, 4, 1)),
    Row("cait", timm.small_vit("cait_xxs24_224"), "blocks_token_only.1.norm1", tokens(4, 4, 1)),
    Row(
        "xcit",
        timm.timm_net("xcit_nano_12_p16_224", img_size=64, depth=2),
        "cls_attn_blocks.1.norm1",
        tokens(4, 4, 1),
        slow=True,
    ),
    Row("vit on wide images", timm.wide_vit, "blocks.1.norm1", tokens(4, 7, 1), width=112),
    Row("swin on wide images", timm.wide_swin, "layers.1.blocks.1.norm1", channels_last, width=96),
    Row("mixer", timm.mixer, "norm", tokens(4, 4)),
    Row("gmlp", timm.gmlp, "norm", tokens(4, 4)),
    Row("resmlp", timm.resmlp, "norm", tokens(4, 4)),
    Row("convmixer", timm.convmixer, "blocks.1"),
    Row("swin_tiny", timm.small_swin("swin_tiny_patch4_window7_224"), "layers.1.blocks.1.norm1", channels_last),
    Row("swinv2_cr_tiny", timm.small_swin("swinv2_cr_tiny_224"), "stages.1.blocks.0", channels_last),
    Row("hiera", timm.hiera, "blocks.4.norm1", tokens(4, 4), size=128),
    Row("mvit_v2", timm.mvit_v2, "stages.1.blocks.1.norm1", tokens(8, 8)),
    Row("pit", timm.pit, "transformers.1.blocks.1.norm1", tokens(4, 4, 1)),
    Row("levit", timm.levit(256), "stages.1.blocks.0", tokens(8, 8), size=256, slow=True),
    Row("volo", timm.volo(auxiliary=True), "post_network.1.norm1", tokens(4, 4, 1), slow=True),
    Row(
        "volo without its auxiliary head",
        timm.volo(auxiliary=False),
        "post_network.1.norm1",
        tokens(4, 4, 1),
        slow=True,
    ),
    Row("tnt", timm.tnt, "blocks.1.norm_out", tokens(4, 4, 1)),
    Row("poolformer", timm.poolformer, "stages.2.blocks.1"),
    Row("efficientformer", timm.efficientformer, "stages.3.blocks.2.norm1", tokens(7, 7), size=224),
    Row(
        "coatnet_pico",
        timm.timm_net("coatnet_pico_rw_224", img_size=64),
        "stages.3.blocks.1.norm1",
        slow=True,
    ),
    Row(
        "maxvit_pico",
        timm.timm_net("maxvit_pico_rw_256", 256, embed_dim=(32, 32, 64, 128)),
        "stages.3.blocks.1.attn_grid.norm1",
        channels_last,
        size=256,
        slow=True,
    ),
    Row("botnet26t", timm.timm_net("botnet26t_256", img_size=64), "stages.3.0", slow=True),
    Row("pvt_v2_b0", timm.timm_net("pvt_v2_b0"), "stages.3.blocks.1.norm1", tokens(2, 2), slow=True),
    Row("edgenext_xx_small", timm.timm_net("edgenext_xx_small"), "stages.3.blocks.1.norm_xca", tokens(2, 2), slow=True),
    Row("efficientvit_b0", timm.timm_net("efficientvit_b0"), "head.in_conv", slow=True),
    Row("mobilenetv4_hybrid_medium", timm.timm_net("mobilenetv4_hybrid_medium"), "blocks.4.0", slow=True),
    Row("mobilevit_xxs", timm.timm_net("mobilevit_xxs"), "final_conv", slow=True),
    Row("mobilevitv2_050", timm.timm_net("mobilevitv2_050"), "stages.4.1.conv_proj", slow=True),
    Row("mobilenetv4_conv_small", timm.timm_net("mobilenetv4_conv_small_035"), "blocks.4.0", slow=True),
    Row("convnextv2_atto", timm.timm_net("convnextv2_atto"), "stages.3.blocks.1", slow=True),
    Row("nest_tiny", timm.timm_net("nest_tiny", img_size=64), "levels.2.pool", slow=True),
    Row("twins_svt_small", timm.timm_net("twins_svt_small", img_size=64), "blocks.3.3.norm1", tokens(2, 2), slow=True),
    Row("sequencer2d_s", timm.timm_net("sequencer2d_s", layers=(1, 1, 2, 1)), "norm", channels_last, slow=True),
    Row("focalnet_tiny_srf", timm.timm_net("focalnet_tiny_srf"), "norm", slow=True),
    Row(
        "davit_tiny",
        timm.timm_net("davit_tiny", embed_dims=(24, 48, 96, 192)),
        "stages.3.blocks.1.norm1",  # behind a Sequential around a Sequential
        tokens(2, 2),
        layer_in_reference="stages.3.blocks.0.1.norm1",
        slow=True,
    ),
    Row("fastvit_t8", timm.timm_net("fastvit_t8"), "final_conv", slow=True),
    Row("visformer_tiny", timm.timm_net("visformer_tiny", img_size=64), "stage3.3.norm1", slow=True),
    Row("hrnet_w18_small", timm.timm_net("hrnet_w18_small"), "final_layer", slow=True),
    Row("ghostnet_050", timm.timm_net("ghostnet_050"), "blocks.9.0", slow=True),
    Row(
        "crossvit_tiny",
        timm.timm_net("crossvit_tiny_240", 96, img_size=96, img_scale=(1.0, 1.0)),
        "blocks.2.fusion.1.norm1",
        tokens(8, 8, 1),
        size=96,
        slow=True,
    ),
)


def _hf(name: str, make: Callable[[], nn.Module], *layer: object, **more: object) -> Row:
    return Row(f"hf {name}", make, *layer, entry=hf.logits_of, **more)  # type: ignore[arg-type]


TRANSFORMERS = (
    _hf("ViT", hf.vit, "vit.layers.1.layernorm_before", tokens(4, 4, 1)),
    _hf("DeiT", hf.deit, "deit.layers.1.layernorm_before", tokens(4, 4, 2)),
    _hf("DeiT with a teacher", hf.deit_distilled, "deit.layers.1.layernorm_before", tokens(4, 4, 2)),
    _hf("BEiT", hf.beit, "beit.layers.1.layernorm_before", tokens(4, 4, 1)),
    _hf("DINOv2", hf.dinov2, "dinov2.encoder.layer.1.norm1", tokens(4, 4, 1)),
    _hf(
        "DINOv2 with registers",
        hf.dinov2_with_registers,
        "dinov2_with_registers.encoder.layer.1.norm1",
        tokens(4, 4, 4),
    ),
    _hf("SigLIP", hf.siglip, "vision_model.encoder.layers.1.layer_norm1", tokens(4, 4)),
    _hf("CLIP", hf.clip, "vision_model.encoder.layers.1.layer_norm1", tokens(4, 4, 1)),
    _hf("ResNet", hf.resnet, "resnet.encoder.stages.1.layers.0"),
    _hf("Swin", hf.swin, "swin.encoder.layers.1.blocks.1.layernorm_before", tokens(8, 8)),
    _hf(
        "Swin v2",
        hf.swin_v2,
        "swinv2.encoder.layers.1.blocks.0",
        tokens(8, 8),
        layer_in_reference="swinv2.encoder.layers.1.blocks.0.mark",
        reference=hf.swin_v2_marked,
    ),
    _hf("ConvNeXt", hf.convnext, "convnext.encoder.stages.2.layers.0"),
    _hf("ConvNeXt v2", hf.convnext_v2, "convnextv2.encoder.stages.2.layers.0"),
    _hf("PoolFormer", hf.poolformer, "norm"),
    _hf("SegFormer", hf.segformer, "segformer.stages.3.blocks.0.layernorm_before", tokens(2, 2)),
    Row(
        "hf DINOv2, a probe of its states",
        hf.probe_of_states,
        "backbone.encoder.layer.1.norm1",
        tokens(4, 4, 1),
    ),
    Row("hf MobileViT", hf.mobilevit, "mobilevit.conv_1x1_exp", entry=hf.logits_of, slow=True),
    Row("hf ViT without a head", hf.vit_backbone_alone, refused="give it a head if it has no classes"),
)

CLIP = (
    Row("open_clip ResNet", clip.resnet, "visual.layer4.0"),
    Row("open_clip ViT", clip.vit, "visual.transformer.resblocks.1.ln_1", tokens(4, 4, 1)),
    Row("open_clip ViT that averages", clip.vit_that_averages, "visual.transformer.resblocks.1.ln_1", tokens(4, 4, 1)),
    Row("open_clip ConvNeXt", clip.convnext, "visual.trunk.stages.3.blocks.1", slow=True),
)


def _ends(
    name: str, function: Callable[..., object], outputs: int = 5, names: object = head.NAMES, **more: object
) -> Row:
    made = head.ending_in(function, outputs, names)
    return Row(name, made, "" if more.get("refused") else _BODY, **more)  # type: ignore[arg-type]


_compared = partial(Row, output=OutputKind.EMBEDDING, numbers=Numbers.COSINE)
_LAST = "blocks.1.norm1"
EMBEDDINGS = (
    _compared("resnet18, features", tv.resnet_without_head, "layer4.1"),
    _compared("dinov2, features", timm.small_vit("vit_small_patch14_dinov2", 70, 0), _LAST, tokens(5, 5, 1), 70),
    _compared("siglip, features", timm.small_vit("vit_base_patch16_siglip_224", classes=0), "norm", tokens(4, 4)),
    _compared(
        "hf DINOv2, features",
        hf.dinov2_without_a_head,
        "encoder.layer.1.norm1",
        tokens(4, 4, 1),
        entry=lambda output: output.pooler_output,
    ),
    _compared(
        "open_clip, features",
        clip.image_tower,
        "transformer.resblocks.1.ln_1",
        tokens(4, 4, 1),
        layer_in_reference="visual.transformer.resblocks.1.ln_1",
    ),
    _compared("the mean over the places", head.with_channels(3), _BODY.removeprefix("backbone.")),
    _compared("a map, not a row", head.segmentation, refused="such as the mean over the places"),
    Row(
        "features without a reference",
        tv.resnet_without_head,
        output=OutputKind.EMBEDDING,
        refused="Say what they are compared with: --similar-to IMAGE",
    ),
)

_boxes = partial(Row, numbers=Numbers.BOX)
DETECTORS = (
    _boxes("faster r-cnn", detection.faster_rcnn, "backbone.body.2"),
    _boxes("faster r-cnn on two scales", detection.faster_rcnn_on_two_scales, "backbone.stem"),
    _boxes("faster r-cnn on a pyramid", detection.faster_rcnn_on_a_pyramid, "backbone.fpn.inner_blocks.1.0"),
    _boxes("retinanet", detection.retinanet, "backbone.body.2"),
    _boxes("mask r-cnn", detection.mask_rcnn, "backbone.body.2", slow=True),
    _boxes("keypoint r-cnn", detection.keypoint_rcnn, "backbone.body.2", slow=True),
    _boxes("ssd", detection.ssd, "backbone.body.2", slow=True),
    _boxes("fcos", detection.fcos, "backbone.body.2"),
    _boxes("a detector of the user", detection.own_detector, "backbone.2"),
    _boxes(
        "a detector with a stem before its backbone",
        detection.stem_before_backbone,
        refused="If its part called backbone does not take the image itself, name a layer with --layer",
    ),
    _boxes(
        "a detector without a backbone",
        detection.own_without_backbone,
        refused="has no part called backbone",
    ),
    _boxes(
        "a detector without a backbone", detection.own_without_backbone, "inner.backbone.2", asked="inner.backbone.2"
    ),
    Row(
        "a detector, said to return logits",
        detection.own_detector,
        output=OutputKind.LOGITS,
        refused="returns boxes, which are not read as logits",
    ),
    Row(
        "logits, said to be boxes",
        head.with_channels(3),
        output=OutputKind.DETECTION,
        refused="--output detection is for a list with a mapping per image",
    ),
)

HEADS = (
    _ends("logits", lambda y: y),
    _ends("logits of 1,000 classes", lambda y: y, 1000, None),
    _ends("logits without names", lambda y: y, 37, None),
    _ends("log-probabilities", lambda y: y.log_softmax(1)),
    _ends("logits as (N, C, 1, 1)", lambda y: y[:, :, None, None], entry=lambda y: y[:, :, 0, 0]),
    _ends("dict", lambda y: {"aux": y * 2, "out": y}, entry=lambda y: y["out"]),
    _ends("dict without a usual key", lambda y: {"a": y, "b": y}, refused="expected one called logits"),
    _ends("tuple", lambda y: (y, y * 2), entry=lambda y: y[0]),
    _ends("list", lambda y: [y], entry=lambda y: y[0]),
    _ends("named tuple", lambda y: head.Answer(y, y * 2), entry=lambda y: y.logits),
    _ends("dataclass", head.Record, entry=lambda y: y.logits),
    _ends("ModelOutput", lambda y: head.ModelOutput(loss=y.sum(), logits=y), entry=lambda y: y["logits"]),
    _ends("dict in a tuple", lambda y: ({"logits": y},), entry=lambda y: y[0]["logits"]),
    _ends("softmax", lambda y: y.softmax(1), numbers=Numbers.AS_THEY_ARE),
    _ends("softmax in a dict", lambda y: {"p": y.softmax(1)}, entry=lambda y: y["p"], numbers=Numbers.AS_THEY_ARE),
    _ends("softmax in half precision", lambda y: y.softmax(1).half(), numbers=Numbers.AS_THEY_ARE),
    _ends("sigmoid", torch.sigmoid, numbers=Numbers.AS_THEY_ARE),
    _ends("sigmoid and clamp", lambda y: y.sigmoid().clamp(1e-6, 1 - 1e-6), numbers=Numbers.AS_THEY_ARE),
    _ends("sigmoid by hand", lambda y: 1 / (1 + (-y).exp()), numbers=Numbers.AS_THEY_ARE),
    _ends("hard sigmoid", nn.functional.hardsigmoid, numbers=Numbers.AS_THEY_ARE),
    _ends(
        "sigmoids side by side",
        lambda y: torch.stack([each.sigmoid() for each in y.unbind(1)], 1),
        numbers=Numbers.AS_THEY_ARE,
    ),
    _ends("logits between 0 and 1", lambda y: y * 0.01 + 0.5),
    _ends(
        "sigmoid by hand, said to be several labels",
        lambda y: 1 / (1 + (-y).exp()),
        output=OutputKind.MULTILABEL,
        numbers=Numbers.AS_THEY_ARE,
    ),
    _ends("labels, said to be several", lambda y: y, output=OutputKind.MULTILABEL, numbers=Numbers.SIGMOID),
    _ends("one logit, two names", lambda y: y, 1, ("no", "yes"), numbers=Numbers.ONE_LOGIT),
    _ends("one logit, squeezed", lambda y: y.squeeze(1), 1, ("no", "yes"), numbers=Numbers.ONE_LOGIT),
    _ends("one logit, said so", lambda y: y, 1, ("yes",), output=OutputKind.BINARY, numbers=Numbers.ONE_LOGIT),
    _ends("one probability", torch.sigmoid, 1, None, numbers=Numbers.ONE_PROBABILITY),
    _ends("one probability, squeezed", lambda y: y.sigmoid()[:, 0], 1, None, numbers=Numbers.ONE_PROBABILITY),
    _ends("one probability by hand", lambda y: (y.tanh() + 1) / 2, 1, None, numbers=Numbers.ONE_PROBABILITY),
    _ends("one number", lambda y: y, 1, None, refused=_SAY_WHICH),
    _ends("one number, one name", lambda y: y, 1, ("yes",), refused=_SAY_WHICH),
    _ends("regression", lambda y: y, 1, None, output=OutputKind.REGRESSION, numbers=Numbers.VALUE),
    _ends("regression, squeezed", lambda y: y[:, 0], 1, None, output=OutputKind.REGRESSION, numbers=Numbers.VALUE),
    _ends(
        "one number, said to be logits",
        lambda y: y,
        1,
        None,
        output=OutputKind.LOGITS,
        refused="would always make the probability 1",
    ),
    _ends("all scores 0", lambda y: y * 0, refused="All gradients of its scores are 0"),
    _ends("infinite scores", lambda y: y / 0, refused="returned NaN or infinity"),
    _ends("no batch axis", lambda y: y[0], refused="returned a tensor of shape (5,) for one image"),
    _ends("classes first", lambda y: y.T, refused="returned a tensor of shape (5, 1) for one image"),
    _ends(
        "one score and thresholds",
        lambda y: y[:, :1] - torch.arange(5.0),
        refused="numbers whose differences are the same for every image",
    ),
    _ends("sorted logits", lambda y: y.sort(1, descending=True).values, refused=_SORTED),
    _ends("the largest logits", lambda y: y.topk(3), 5, None, refused=_SORTED),
    _ends("sorted probabilities", lambda y: y.topk(3)[0].softmax(1), 5, None, refused=_SORTED),
    _ends("in the order of their size", lambda y: y.gather(1, y.argsort(1)), refused=_SORTED),
    _ends("a layer behind the largest features", lambda y: nn.functional.linear(y.topk(3).values, torch.eye(5)[:, :3])),
    _ends("the largest of several places", lambda y: torch.stack([y, -y], 2).topk(1).values[:, :, 0]),
    _ends("a constant class", lambda y: torch.cat([y[:, :1] * 0, y[:, 1:]], 1)),
    _ends(
        "boxes of a batch",
        lambda y: {"boxes": y[:, :, None].expand(-1, -1, 4), "labels": y.argsort(1), "scores": y.sigmoid()},
        refused="returns the boxes of all images in one mapping",
    ),
    _ends(
        "maps of key points",
        lambda y: (y[:, :, None, None] * torch.eye(4)).flatten(2).softmax(2).unflatten(2, (4, 4)),
        refused="that sum to 1 over their places",
    ),
    _ends(
        "heat maps",
        lambda y: {"heatmaps": y[:, :, None, None] * torch.eye(4)},
        refused="returns heatmaps (1, 5, 4, 4), which show where key points lie",
    ),
    _ends("nothing, and logits", lambda y: (None, y), refused="returned a tuple of 2 (a NoneType, a tensor of shape"),
    _ends(
        "a loss, and logits", lambda y: (y.sum(), y), refused="a tuple of 2 (a tensor of shape (), a tensor of shape"
    ),
    _ends("an empty dict", lambda y: {}, refused="returned a dict with no entries"),
    _ends("a sparse tensor", lambda y: y.to_sparse(), refused="returned a sparse tensor; expected a dense one"),
    _ends(
        "a nested tensor", lambda y: torch.nested.nested_tensor(list(y)), refused="returned a nested tensor; expected"
    ),
    _ends(
        "a row per token in a record",
        lambda y: head.Record(y[:, None].expand(-1, 4, -1)),
        refused="returned a Record with logits of shape (1, 4, 5) for one image",
    ),
    _ends("eight bits", lambda y: y.to(torch.float8_e4m3fn), refused="returned a tensor of torch.float8_e4m3fn"),
    _ends("a subclass of a tensor", lambda y: y.as_subclass(head.Kept)),
    _ends("a text", lambda y: "cat", refused="returned a str"),
    _ends("an array of numpy", lambda y: y.detach().numpy(), refused="returned a ndarray"),
    _ends("complex numbers", lambda y: y.to(torch.complex64), refused="expected floating-point numbers"),
    Row("the class alone", head.classes_alone, refused="Return what the last layer computes, not the class"),
    Row("nothing", head.nothing, refused="returned a NoneType"),
    Row("NaN", head.not_a_number, refused="returned NaN or infinity"),
    Row("a map per class", head.segmentation, "body", numbers=Numbers.SHARE),
    Row(
        "a map per class in a dict",
        head.segmentation_in_a_mapping,
        "body",
        numbers=Numbers.SHARE,
        entry=lambda output: output["out"],
    ),
    Row("boxes", head.detection, refused="Name them in the module's attribute class_names"),
)

_GREY = transforms.Grayscale()
_FOUR = transforms.Lambda(lambda tensor: torch.cat([tensor, tensor.mean(0, keepdim=True)]))
CHANNELS = (
    Row("grey images", head.with_channels(1), "body.4", before=_GREY, channels=1),
    Row("four channels", head.with_channels(4), "body.4", after=_FOUR, channels=4),
)


def _odd(make: Callable[[], nn.Module], layer: str = "body", **more: object) -> Row:
    name = make.__name__.replace("_", " ")
    return Row(name, make, "" if more.get("refused") else layer, size=224, file=True, **more)  # type: ignore[arg-type]


_plain = partial(_odd, reference=odd.plain)  # computes what the plain network does
_NO_GRADIENT = "no gradient reaches the explained layer"

ODD = (
    _plain(odd.compiled),
    _plain(odd.compiled_and_run),
    _plain(odd.compiled_by_inductor),
    _plain(odd.compiled_in_place),
    _plain(odd.compiled_part),
    _plain(odd.compiled_twice),
    _plain(odd.compiled_part_in_place),
    _plain(odd.compiled_forward),
    _odd(odd.scripted, refused="the model is TorchScript"),
    _odd(odd.traced, refused="the model is TorchScript"),
    _odd(odd.scripted_part, refused="its part 'body' is TorchScript"),
    _odd(odd.exported, refused="torch.export, whose layers are gone"),
    _odd(odd.fx_traced, "body.0", reference=odd.plain),
    _odd(odd.random, refused="answers the same image differently from pass to pass"),
    _odd(odd.random_but_seeded),
    _odd(odd.random_by_numpy, refused="answers the same image differently from pass to pass"),
    _odd(odd.batch_dependent, refused="answers an image differently if another one is in the batch"),
    _odd(odd.batch_statistics, refused="answers an image differently if another one is in the batch"),
    _odd(odd.counting, refused="answers the same image differently from pass to pass"),
    _odd(odd.remembering),
    _odd(odd.one_image_only),
    _odd(odd.without_grad, refused=_NO_GRADIENT, lime=True),
    _odd(odd.in_inference_mode, refused=_NO_GRADIENT, lime=True),
    _odd(odd.detached, refused=_NO_GRADIENT, lime=True),
    _odd(odd.by_numpy, refused=_NO_GRADIENT, lime=True),
    _plain(odd.frozen),
    _odd(odd.half, reshape=torch.Tensor.float),
    _odd(odd.bfloat16, reshape=torch.Tensor.float),
    _odd(odd.double),
    _odd(odd.autocast, reshape=torch.Tensor.float),
    _odd(odd.quantised_head, refused=_NO_GRADIENT, lime=True),
    _odd(odd.quantised_throughout, refused="Give the model from before it was quantised", lime=True),
    _odd(odd.lazy_head),
    _odd(odd.lazy_throughout, "norm"),
    _odd(odd.extra_state),
    _odd(odd.hidden_state),
    _odd(odd.plain_attribute),
    _odd(odd.without_parameters, refused="It has no parameters at all", lime=True),
    _odd(odd.folded),
    _odd(odd.folded, asked="part", refused="its first axis counts windows, heads or crops, not images"),
    _odd(odd.called_twice),
    _odd(odd.called_twice, asked="again", refused="is called 2 times in one pass"),
    _odd(odd.crops, refused="counts windows, heads or crops instead of images", lime=True),
    _odd(odd.writes_into_its_input),
    _odd(odd.in_place_after_last, "body.0"),
    _odd(odd.rectangular),
    _odd(odd.layer_returns_tuple, "block", layer_in_reference="block.sum"),
    _odd(odd.hands_on_an_early_tensor, "late.late"),
    _odd(odd.keyword_only, refused="takes 1 positional argument but 2 were given"),
    _odd(odd.stops, refused="SystemExit"),
    _odd(odd.training),
    _odd(odd.channels_last_memory),
    _odd(odd.channels_first_as_many_as_places, "norm"),
    _odd(odd.channels_last_as_many_as_places, "norm", reshape=channels_last),
    _odd(
        odd.tokens_first,
        "encoder.layers.1.norm1",
        reshape=lambda output: output[:-1].permute(1, 2, 0).reshape(-1, 24, 7, 7),
    ),
    _odd(odd.channels_before_tokens, "mix", reshape=lambda output: output.reshape(-1, 24, 7, 7)),
    _odd(odd.tokens_down_the_columns, "patches"),
    _odd(odd.tokens_shuffled, "patches"),
    _odd(odd.flips, refused="called more than once in a pass", lime=True),
    _odd(odd.on_rows_of_pixels, refused="no layer whose output lies over the image", lime=True),
    _odd(odd.pipeline_of_scikit_learn, refused="It has no parameters at all", lime=True),
    _plain(odd.checkpointed),
    _plain(odd.data_parallel, "body"),
    _plain(odd.averaged, "body"),
    _odd(odd.weight_norm),
    _odd(odd.spectral_norm),
    _odd(odd.pruned),
    _plain(odd.changes_the_folder),
    _plain(odd.prints),
    _plain(odd.default_double),
    _plain(odd.gradients_off),
    _plain(odd.deterministic),
    _odd(odd.default_meta, refused="has weights without values"),
    _odd(odd.raises, refused="raises() raised KeyError: 'weights'"),
    _plain(odd.names_that_are_code),
    _plain(odd.names_with_surrogates),
    _plain(odd.names_alike),
    _plain(odd.names_that_are_numbers),
    _plain(odd.names_that_mean_something),
    _plain(odd.names_in_an_array),
    _plain(odd.names_in_a_mapping),
    _plain(odd.names_in_a_mapping_in_another_order),
    _odd(odd.names_too_few, refused="3 names"),
    _odd(odd.names_in_a_text, refused="class_names"),
    _odd(odd.names_by_label, refused="class_names"),
)

_ONE_IMAGE = "A run has one image. Wrap the model"
ODDER = (
    _odd(odder.stem_without_grad),
    _odd(odder.stem_in_inference_mode),
    _odd(odder.stem_detached),
    _odd(odder.head_alone_with_grad, refused=_NO_GRADIENT, lime=True),
    _odd(odder.siamese, refused=f"Its forward takes 2 inputs (anchor, other). {_ONE_IMAGE}"),
    _odd(
        odder.siamese_stacked,
        refused=f"It runs on several images at once, (N, images, 3, H, W), such as pairs. {_ONE_IMAGE}",
    ),
    _odd(odder.siamese_in_channels, refused=f"It runs on pairs of images in one, (N, 6, H, W). {_ONE_IMAGE}"),
    _odd(odder.siamese_in_batch, refused="It runs on pairs of images in the axis of the batch"),
    _odd(odder.siamese_interleaved, refused="A model that takes pairs of images has no answer for one"),
    _odd(odder.siamese_of_a_list, refused="It runs on a list or tuple of two batches"),
    _odd(odder.siamese_of_any, refused="It runs on two inputs"),
    _odd(odder.siamese_by_name, refused="It takes a mapping with the entries left, right"),
    _odd(odder.siamese_in_parallel, refused="Its forward takes 2 inputs (anchor, other)"),
    _odd(odder.with_mask, refused="Its forward takes 2 inputs (image, mask)"),
    _odd(odder.with_text, refused="Its forward takes 2 inputs (input_ids, pixel_values)"),
    _odd(odder.text_first, refused=f"Its forward takes input_ids first, before pixel_values. {_ONE_IMAGE}"),
    _odd(odder.captions, refused=f"Its forward also takes input_ids, which it may need. {_ONE_IMAGE}"),
    _odd(odder.by_any_name, refused="Its forward takes its input by name alone (pixel_values=...)"),
    _odd(odder.of_a_list, refused="Wrap it in a module that makes them: self.net(list(images))"),
    _odd(odder.of_a_mapping, refused='Wrap it in a module that makes one: self.net({"image": images})'),
    _odd(odder.of_videos, refused="It runs on several images at once, (N, images, 3, H, W)"),
    _odd(odder.channels_last_input, refused="self.net(images.movedim(1, 3))"),
    _odd(odder.double_input, refused="It runs on images in double precision"),
    _odd(odder.bytes_input, refused="It runs on whole numbers from 0 to 255"),
    _plain(odder.may_take_more),
    _odd(odder.pruned_tokens, "blocks.0", reshape=tokens(7, 7, 1), slow=True),
    _odd(odder.merged_tokens, "blocks.0", reshape=tokens(7, 7), slow=True),
    _odd(odder.flat_patches, "blocks.2.norm1", reshape=tokens(14, 7, 1), slow=True),
    _odd(odder.tokens_behind, "blocks.2.norm1", reshape=tokens(7, 7, 0, 5)),
    _odd(
        odder.token_in_the_middle,
        "blocks.2.norm1",
        reshape=lambda output: tokens(7, 7)(torch.cat([output[:, :24], output[:, 25:]], 1)),
    ),
    _odd(odder.prompted, "blocks.2.norm1", reshape=tokens(7, 7, 41)),
    _odd(odder.attributes_raise, refused="KeyError: '_is_replica'"),
    _odd(odder.binarised, refused="Steps that round, such as sign and round, pass no gradient either"),
    _odd(odder.cut_tokens, refused="name a layer of them with --layer, and their grid with --reshape", lime=True),
    _odd(odder.averaging, refused="answers the same image differently from pass to pass"),
    _odd(odder.complex_layer, refused="Some of its layers return complex or whole numbers", lime=True),
    _odd(odder.complex_layer, asked="body", refused="returns a tensor of torch.complex64; expected real"),
    _odd(odder.early_exit, refused="answers an image differently if another one is in the batch"),
    _odd(odder.experts, "stem"),
    _odd(odder.of_another_library, refused="neither have wrappers of what another library computes"),
    _odd(odder.autoencoder, numbers=Numbers.SHARE, slow=True),
    _odd(odder.hook_that_raises, refused="ValueError: my hook"),
    _odd(odder.backward_hook_that_raises, refused="ValueError: my backward hook"),
    _odd(odder.hook_that_doubles),
    _odd(odder.hook_that_mirrors, refused="returns maps of the mirrored, transposed or rotated image"),
    _plain(odder.parallel_twice),
    _plain(odder.parallel_inside),
    _plain(odder.in_containers),
)

_ENDS = "ends a program. A model has to return its answer, or to raise an Exception"
ODDEST = (
    _odd(oddest.generator_exit, refused=f"GeneratorExit: closed. GeneratorExit {_ENDS}"),
    _odd(oddest.own_end, refused=f"OwnEnd: mine. OwnEnd {_ENDS}"),
    _odd(oddest.without_text, refused="on a batch of shape (1, 3, 224, 224): WithoutText."),
    _odd(oddest.ends_backward, refused=f"GeneratorExit {_ENDS}"),
    _odd(oddest.factory_ends, refused="factory_ends() raised OwnEnd: no weights today"),
    _plain(oddest.measures),
    _odd(oddest.fits, refused="RuntimeError: no data to train on. It is raised in Fits.train"),
    _odd(oddest.hides_parts, refused="modules() of HidesParts leaves out 'stem'"),
    _odd(oddest.no_children, refused="children() of NoChildren raises RuntimeError: there are none"),
    _plain(oddest.head_is_trained),
    _odd(oddest.list_of_parameters, refused="parameters() of ListOfParameters returns a list; expected an iterator"),
    _odd(oddest.stays, refused="to() of Stays does not take a device"),
    _odd(oddest.no_hooks, refused="RuntimeError: no hooks. It is raised in NoHooks.register_forward_hook"),
    _odd(oddest.read_only, refused="AttributeError: it is read-only. It is raised in ReadOnly.__setattr__"),
    _plain(oddest.arrays_in_state),
    _odd(oddest.secret_state, refused="the weights are secret. It is raised in SecretState.state_dict"),
    _odd(oddest.equal_parts, refused="Equal defines when two modules are equal (__eq__, __hash__)"),
    _plain(oddest.any_attribute),
    _odd(oddest.drifting, refused="answers an image differently after scene-00 was explained than before"),
    _odd(oddest.adapting, slow=True, refused="So passes change the model (a counter, a cache, statistics that adapt)"),
    _odd(oddest.leaves_early, refused="The model runs its layers for each image of a batch alone", lime=True),
    _odd(oddest.leaves_early_alone),
    _odd(oddest.body_for_the_rest, refused="is not reached when the model answers this image", lime=True),
    _plain(oddest.views_its_input),
    _plain(oddest.in_a_checkpoint_wrapper, "body._checkpoint_wrapped_module", layer_in_reference="body"),
    _odd(oddest.checks_range, refused="It runs on values between 0 and 1 alone"),
    _odd(oddest.same_memory, refused="returns the same memory in every pass"),
    _odd(oddest.sparse_weights, refused="has weights that are no dense tensors, first 'mixed'"),
    _plain(oddest.asks_for_gradient),
    _plain(oddest.gradients_if_asked),
    _plain(oddest.reversible, "stem"),
    _odd(oddest.checkpointed_the_old_way, refused="use_reentrant=False, which computes the same"),
    _odd(oddest.writes_into_relu, refused="Write into a copy (clone)"),
    _odd(oddest.keeps_by_address, refused="is reached in some passes and not in others"),
    _odd(oddest.quantised_in_training, refused="'stem.0.activation_post_process.scale'"),
    _odd(oddest.several_scales, refused="layers before the head are called more than once in a pass"),
    _odd(oddest.in_a_list, refused="layers in a plain list instead of an nn.ModuleList", lime=True),
    _odd(oddest.attention_pooled),
    _odd(oddest.pooled_by_a_product),
    _odd(oddest.pooled_by_shares),
    _odd(oddest.vlad),
    _odd(oddest.gated_places),
    _odd(oddest.moved_places),
    _odd(oddest.first_for_all, refused="gives two different images of a batch the same answer"),
    _odd(oddest.sets_default_dtype, refused="changes torch.set_default_dtype for the whole process"),
    _odd(oddest.switches_gradients_off, refused="changes torch.set_grad_enabled for the whole process"),
)

REAL = (Row("EfficientNet-Lite0, real weights", efficientnet_lite.lite0, "_bn1", size=224),)

ROWS: tuple[Row, ...] = (
    *TORCHVISION,
    *TIMM,
    *TRANSFORMERS,
    *CLIP,
    *EMBEDDINGS,
    *DETECTORS,
    *HEADS,
    *CHANNELS,
    *ODD,
    *ODDER,
    *ODDEST,
    *REAL,
)
