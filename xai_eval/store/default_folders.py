"""Where runs and goldens are kept when nobody names another folder."""

from pathlib import Path

RESULTS, GOLDEN = Path("reports"), Path("golden")
