"""The library's random numbers and progress bars do not reach the caller."""

from __future__ import annotations

import numpy as np
import pytest
import tqdm
from pytorch_grad_cam import ablation_cam, score_cam

from xai_eval.explainers.cam.side_effects import seeded, without_progress_bars


def test_seeded_draws_repeat_and_the_callers_go_on() -> None:
    np.random.seed(5)
    expected = np.random.random(4)
    np.random.seed(5)
    before = np.random.random(2)
    draws = []
    for seed in (1, 1, 2):
        with seeded(seed):
            draws.append(np.random.random())
    assert draws[0] == draws[1] != draws[2]
    assert [*before, *np.random.random(2)] == expected.tolist()


def test_state_comes_back_after_an_error() -> None:
    state = np.random.get_state()[1].tolist()
    with pytest.raises(KeyboardInterrupt), seeded(1), without_progress_bars():
        raise KeyboardInterrupt
    assert np.random.get_state()[1].tolist() == state
    assert ablation_cam.tqdm is score_cam.tqdm is tqdm


def test_only_the_librarys_bars_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with without_progress_bars():
        assert list(score_cam.tqdm.tqdm(range(3))) == list(ablation_cam.tqdm.tqdm(range(3))) == [0, 1, 2]
        assert capsys.readouterr().err == ""
        list(tqdm.tqdm(range(3)))
        assert "3/3" in capsys.readouterr().err
