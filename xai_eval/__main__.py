"""`python -m xai_eval` is `xai-eval`."""

from xai_eval.cli import main

raise SystemExit(main())
