"""`python -m xai_eval` is `xai-eval`."""

import sys

# Python puts the working directory before everything else, so that a file of a checkout could pass for a library.
if not sys.flags.safe_path:
    del sys.path[0]

from xai_eval.cli.main import main

raise SystemExit(main())
