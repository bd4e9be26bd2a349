"""The README's tour is what it says it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOUR = Path(__file__).parent.parent / "docs" / "tour.py"


@pytest.mark.slow
def test_the_tour_ends_with_a_drift_that_began_at_the_input_tensor(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, TOUR, tmp_path / "tour"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1, done.stderr
    document = json.loads((tmp_path / "tour" / "reports" / "verdicts.json").read_text())
    assert document["states"]["drift"] == document["cases"] == 6
    assert {verdict["origin"]["stage"] for verdict in document["verdicts"]} == {"input tensor"}
    assert {verdict["origin"]["step"] for verdict in document["verdicts"]} == {"preprocessing"}
    assert document["verdicts"][0]["severity"] == "conclusion"
