"""`python -m xai_eval` is `xai-eval`."""

from xai_eval.cli.main import main

raise SystemExit(main())
