"""The folders of runs and goldens if no others are named."""

from pathlib import Path

RESULTS, GOLDEN = Path("reports"), Path("golden")
