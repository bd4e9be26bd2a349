"""Where no configuration file and no option names them, `run` says which bundled model and images it takes."""

import argparse

import pytest

from xai_eval.cli.asked import tell_bundled
from xai_eval.run.suite import Request
from xai_eval.settings.settings import NO_SETTINGS


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request("cams"), "model scenes:objects and images scenes. Name your own with --model and --images, or in a"),
        (Request("cams", images="photos"), "is used: model scenes:objects. Name your own with --model, or in a file"),
        (Request("cams", model="file:nets.py:net", images="photos"), ""),
    ],
)
def test_what_nobody_named_is_said_once(request_, says, capsys):
    tell_bundled(argparse.Namespace(settings=NO_SETTINGS, quiet=False), [request_, request_])
    told = capsys.readouterr().err
    assert says in told and told.count("bundled") == bool(says)
