"""The first pages and the tutorials are what they say they are: their files and their commands, as they stand there."""

import json
import re
from pathlib import Path

import pytest
import torchvision  # noqa: F401 (before pytester, which forgets what its tests imported: torch cannot be loaded twice)
import yaml
from pages import DOCS, commands, files, of_xai_eval

from xai_eval.cli.main import main

# Each explains images several times.
pytestmark = pytest.mark.slow

# Networks that need no download, in place of those of the page.
BUNDLED = {
    "torchvision:mobilenet_v2@IMAGENET1K_V1": "scenes:objects",
    "torchvision:mobilenet_v2@IMAGENET1K_V2": "scenes:places",
}


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(page):
    for name, text in files(page).items():
        Path(name).write_text(text)


def verdicts():
    return json.loads(Path("reports/verdicts.json").read_text())


def test_the_five_minutes_end_with_a_drift_whose_cause_is_the_weights(place, capsys):
    first, accept, again, check, other = (
        [BUNDLED.get(word, word) for word in words] for words in of_xai_eval("start.md")
    )
    assert main([*first, "--quiet"]) == 0
    told = capsys.readouterr().out
    text = (DOCS / "start.md").read_text(encoding="utf-8")
    for line in re.findall(r"```text\n(NEW.*?)```", text, re.DOTALL)[0].splitlines():
        assert line in told
    assert [main(accept), main([*again, "--quiet"]), main(check)] == [0, 0, 0]
    assert "7 cases: 7 ok" in capsys.readouterr().out
    assert main([*other, "--quiet"]) == 1
    assert verdicts()["states"]["drift"] == 7 and "weights" in verdicts()["verdicts"][0]["causes"]


def test_the_weights_of_the_five_minutes_exist():
    from torchvision.models import get_model_weights

    names = {word for words in of_xai_eval("start.md") for word in words if word.startswith("torchvision:")}
    assert names == set(BUNDLED)
    assert {name.split("@")[1] for name in names} <= set(get_model_weights("mobilenet_v2").__members__)


def test_a_damaged_transformer_keeps_its_classes_and_moves_its_maps(place, capsys):
    save("tutorials/transformer.md")
    first, accept, attention, damaged, cause = of_xai_eval("tutorials/transformer.md")
    assert [main([*first, "--quiet"]), main(accept), main([*attention, "--quiet"])] == [0, 0, 0]
    assert main([*damaged, "--quiet"]) == 1
    told = capsys.readouterr().out
    assert "Cannot tell with the 3 images that moved" in told and "3 cases: 3 drift" in told
    assert "drift  evidence  cams/scenes-scene-01" in told
    found = verdicts()["verdicts"]
    assert {each["severity"] for each in found} == {"evidence"}, "the classes are the same"
    assert main(cause) in (0, 1)
    assert "Cause: model." in capsys.readouterr().out


def test_the_test_with_captum_passes_and_notices_three_steps_in_place_of_twenty(place, pytester, monkeypatch):
    monkeypatch.chdir(pytester.path)
    page = "tutorials/captum.md"
    (code,) = files(page).values()
    assert [words[0] for words in commands(page)] == ["pytest", "xai-eval", "pytest"]
    pytester.makepyfile(test_tutorial_captum=code)
    pytester.runpytest().assert_outcomes(failed=1)
    assert main(of_xai_eval(page)[0]) == 0
    pytester.runpytest().assert_outcomes(passed=1)
    assert code.count("STEPS = 20") == 1
    pytester.makepyfile(test_tutorial_captum=code.replace("STEPS = 20", "STEPS = 3"))
    changed = pytester.runpytest()
    changed.assert_outcomes(failed=1)
    changed.stdout.fnmatch_lines(["drift: *needs at least*"])


def test_each_package_of_a_repository_has_its_own_file_and_goldens(place, monkeypatch):
    Path("services/cats").mkdir(parents=True)
    monkeypatch.chdir("services/cats")
    Path("xai_eval.toml").write_text(
        'models = ["scenes:objects"]\nimages = ["../../photos/"]\n[[suite]]\ntask = "cams"\nmethods = ["gradcam"]\n'
    )
    from PIL import Image

    from xai_eval import load_images

    Path("../../photos").mkdir()
    Image.fromarray(load_images("scenes:1").images[0].pixels).save("../../photos/one.png")
    run, check = of_xai_eval("how-to/monorepo.md")
    assert main([*run, "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first goldens"]) == 0
    Path("below").mkdir()
    monkeypatch.chdir("below")  # the nearest file above counts
    assert main(check) == 0
    (kept,) = (place / "services" / "cats" / "golden" / "cams").iterdir()
    assert kept.name.startswith("photos-one-png-"), "not the way to the folder"


def test_the_page_on_ci_says_what_the_workflows_do(place):
    text = (DOCS / "how-to" / "ci.md").read_text(encoding="utf-8")
    workflows = {"github": ".github/workflows/explanations.yml", "gitlab": ".gitlab-ci.yml", "jenkins": "Jenkinsfile"}
    for ci, file in workflows.items():
        assert main(["init", "--ci", ci]) == 0
        workflow = Path(file).read_text()
        assert f"`{file}`" in text
        for said in ("pip install xai-eval", "xai-eval run --quiet", "xai-eval check --complete", "--against"):
            assert said in text and said in workflow
    job = yaml.safe_load(Path(".github/workflows/explanations.yml").read_text())
    assert job["permissions"] == {"contents": "read"}
    (upload,) = [each for each in job["jobs"]["drift"]["steps"] if "upload-artifact" in each.get("uses", "")]
    assert upload["with"]["name"] == "explanations" and upload["if"] == "always()"
