"""Explainers of users: what they get, what they may return, and what is said if they do something else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_grad_cam import LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.explainers.attribution.methods import explain, find_methods
from xai_eval.explainers.attribution.question import Question, Settings


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU())
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def question(size=(12, 16)):
    batch = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(3))
    return Question(Net().eval(), batch, torch.zeros_like(batch), 4, Settings())


def method(folder, body, name="mine", before="import numpy as np, torch"):
    path = folder / "explainers.py"
    path.write_text(f"{before}\ndef {name}(module, batch, targets):\n    {body}\n")
    return find_methods([f"file:{path}:{name}"])[0]


def explained(folder, body, size=(12, 16), **given):
    return explain(method(folder, body, **given), question(size), seed=0)


def test_the_function_gets_the_module_the_batch_and_the_class(tmp_path):
    body = "return module(batch)[:, targets[0], None, None].expand(1, *batch.shape[-2:]).detach()"
    asked = question()
    expected = float(asked.module(asked.batch)[0, 4].detach())
    np.testing.assert_allclose(explain(method(tmp_path, body), asked, 0), np.full((12, 16), expected), rtol=1e-6)


@pytest.mark.parametrize(
    ("returned", "shape"),
    [
        ("batch", (3, 12, 16)),
        ("batch.sum(1)", (12, 16)),
        ("batch.sum(1).numpy().astype(np.float64)", (12, 16)),
        ("batch[:, :1].half()", (1, 12, 16)),
        ("(batch.sum(1) * 100).int()", (12, 16)),
        ("batch.requires_grad_().sum(1) * 2", (12, 16)),
        ("batch.sum(1)[:, ::4, ::4]", (3, 4)),
        ("batch.sum(1)[:, ::5, ::5]", (3, 4)),
        ("batch.sum(1)[:, :1, :1]", (1, 1)),
        ("batch.sum(1)[0]", (12, 16)),
        ("batch[0, 0, ::4, ::4].numpy()", (3, 4)),
        ("batch[:, :1, ::4, ::4]", (3, 4)),
    ],
)
def test_it_may_return_a_map_or_an_attribution_as_tensor_or_array(tmp_path, returned, shape):
    found = explained(tmp_path, f"return {returned}")
    assert found.shape == shape and found.dtype == np.float32


WRONG = {
    "nothing": ("return None", "returned a NoneType; expected a tensor or an array"),
    "a list": ("return batch.sum(1).tolist()", "returned a list; expected a tensor or an array"),
    "of other proportions without its axis": ("return batch.sum(1)[0].T", r"returned an array \(1, 16, 12\) for one"),
    "an attribution without its axis of images": ("return batch[0]", r"returned an array \(3, 12, 16\) for one image"),
    "channels last": ("return batch.permute(0, 2, 3, 1)", r"returned an array \(1, 12, 16, 3\) for one image"),
    "another size": ("return torch.nn.functional.avg_pool2d(batch, 2)", r"returned an array \(1, 3, 6, 8\)"),
    "larger than the input": ("return torch.ones(1, 24, 32)", r"returned an array \(1, 24, 32\)"),
    "other proportions": ("return torch.ones(1, 2, 12)", r"or a coarser map \(1, h, w\) in the proportions"),
    "two images": ("return torch.ones(2, 12, 16)", r"returned an array \(2, 12, 16\)"),
    "empty": ("return torch.ones(1, 0, 0)", r"returned an array \(1, 0, 0\)"),
    "true or false": ("return batch.sum(1) > 0", "returned values of type torch.bool"),
    "true or false, array": ("return (batch.sum(1) > 0).numpy()", "returned values of type bool"),
    "complex": ("return torch.fft.fft2(batch)", "returned values of type torch.complex64"),
    "text": ("return np.full((1, 12, 16), 'a')", "returned values of type <U1"),
    "NaN": ("return batch * float('nan')", "returned values that are NaN or infinite"),
    "infinite": ("return batch.sum(1) / 0", "returned values that are NaN or infinite"),
    "an error": ("return batch[:, 7]", r"explainers\.py:mine raises IndexError: .* \(explainers\.py:3\)"),
    "too large": ("return batch.sum(1).double() * 1e200", r"infinite in single precision \(above 3\.4e38\)"),
    "too small": ("return batch.sum(1).double() * 1e-60", r"that are 0 in single precision \(below 1\.4e-45\)"),
    "quantised": ("return torch.quantize_per_tensor(batch.sum(1), 0.1, 0, torch.qint8)", "sparse, quantised or nested"),
    "a masked array": ("import numpy as np\n    return np.ma.masked_less(batch.sum(1).numpy(), 0)", "a masked array"),
    "what is no Exception": ("raise GeneratorExit('x')", r"explainers\.py:mine raises GeneratorExit: x"),
    "an exit": ("raise SystemExit(0)", r"explainers\.py:mine raises SystemExit: 0 \(explainers\.py:3\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_is_refused_in_one_sentence(tmp_path, name):
    body, words = WRONG[name]
    with pytest.raises(UsageError, match=rf"file:explainers\.py:mine .*{words.split('mine ')[-1]}") as told:
        explained(tmp_path, body)
    assert str(tmp_path) not in str(told.value)


def test_pytorch_grad_cam_does_in_it_what_it_does_outside(tmp_path):
    body = (
        "from pytorch_grad_cam import LayerCAM\n"
        "    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget\n"
        "    cam = LayerCAM(module, [module.body[0]])\n"
        "    return cam(batch, [ClassifierOutputTarget(int(each)) for each in targets])"
    )
    asked = question()
    net = Net().eval()
    with LayerCAM(net, [net.body[0]]) as cam:
        expected = cam(asked.batch.clone(), [ClassifierOutputTarget(4)])[0]
    assert np.ptp(expected) > 0.5
    np.testing.assert_array_equal(explain(method(tmp_path, body), asked, 0), expected)
    assert all(each.requires_grad and each.grad is None for each in asked.module.parameters())


def test_what_it_does_to_the_model_the_input_and_the_generators_is_undone(tmp_path):
    body = "\n    ".join(
        [
            "module.train(); module(batch); module.head.weight.data.zero_(); batch.mul_(0)",
            "module.body[2].p = 0.9; module.body.register_forward_hook(lambda *_: None)",
            "module.head = torch.nn.Identity(); np.random.rand(); torch.rand(1)",
            "return torch.rand(1, 12, 16)",
        ]
    )
    asked, mine = question(), method(tmp_path, body)
    before = {key: value.clone() for key, value in asked.module.state_dict().items()}
    batch, random = asked.batch.clone(), torch.get_rng_state()
    first, again = explain(mine, asked, 0), explain(mine, asked, 0)
    assert np.array_equal(first, again) and not np.array_equal(first, explain(mine, asked, 1))
    after = asked.module.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert not asked.module.training and asked.module.body[2].p == 0.5 and not asked.module.body._forward_hooks
    assert torch.equal(asked.batch, batch) and torch.equal(torch.get_rng_state(), random)


def test_the_file_may_import_its_neighbours_also_while_it_is_called(tmp_path):
    (tmp_path / "early.py").write_text("ONE = 1.0")
    (tmp_path / "late.py").write_text("TWO = 2.0")
    body = "import late\n    return torch.full((1, 12, 16), early.ONE + late.TWO)"
    assert (explained(tmp_path, body, before="import torch, early") == 3.0).all()
    import sys

    assert not {"early", "late"} & sys.modules.keys() and str(tmp_path) not in sys.path


def test_names_of_the_file_are_recorded_without_its_folder(tmp_path):
    mine = method(tmp_path, "return batch")
    assert (mine.name, mine.spec) == ("mine", "file:explainers.py:mine")
    other = method(tmp_path, "return batch * 2")
    assert len(mine.digest) == 64 and mine.digest != other.digest


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("file:explainers.py", "is malformed; expected file:PATH.py:FUNCTION"),
        ("file:explainers.txt:mine", "is malformed; expected file:PATH.py:FUNCTION"),
        ("file:explainers.py:mine()", "is malformed"),
        ("file:explainers.py:main", "unknown function 'main'. Did you mean mine"),
    ],
)
def test_a_wrong_name_is_refused(tmp_path, monkeypatch, spec, words):
    monkeypatch.chdir(tmp_path)
    method(tmp_path, "return batch")
    with pytest.raises(UsageError) as told:
        find_methods([spec])
    assert words in str(told.value)


@pytest.mark.parametrize("name", ["saliency", "mask", "table", "stage"])
def test_a_name_that_is_taken_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=f"the name '{name}' is taken"):
        method(tmp_path, "return batch", name=name)


def test_two_functions_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.py").write_text("def mine(module, batch, targets): ...")
    (tmp_path / "b.py").write_text("def mine(module, batch, targets): ...")
    with pytest.raises(UsageError, match=r"file:b\.py:mine: the name 'mine' is taken"):
        find_methods([f"file:{tmp_path / file}:mine" for file in ("a.py", "b.py")])


def test_a_file_that_is_missing_or_raises_is_unavailable(tmp_path):
    with pytest.raises(InputUnavailable, match=r"does not exist; expected a Python file with a function 'mine'"):
        find_methods([f"file:{tmp_path / 'lost.py'}:mine"])
    with pytest.raises(InputUnavailable, match="ZeroDivisionError"):
        method(tmp_path, "return batch", before="1 / 0")


@pytest.mark.parametrize("made", ["torch.rand(1, 12, 16).to_sparse()", "torch.rand(1, 12, 16, device='meta')"])
def test_a_tensor_without_its_values_is_refused(tmp_path, made):
    with pytest.raises(UsageError, match=r"a tensor (that is sparse|on the device meta).*holds all values"):
        explained(tmp_path, f"return {made}")
