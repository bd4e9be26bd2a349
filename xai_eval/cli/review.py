"""`xai-eval review`: serve the page of a run until the person at the terminal ends it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from xai_eval.media.terminal import tell
from xai_eval.review.desk import Desk
from xai_eval.review.server import open_server
from xai_eval.store.goldens import Goldens
from xai_eval.store.upgrade_policy import Policy


def review(results: Path, goldens: Goldens, policy: Policy) -> None:
    """Serve the page of the run in `results` until Ctrl+C. A decision that is being carried out is finished first.

    Raises:
        UsageError: this is a CI, or another process writes into the folder of the run.
        InputUnavailable: no run is there, or this machine has no loopback.
        StorageError: the record of the run cannot be read, or its folder cannot be written.
    """
    desk = Desk(results, goldens, policy)
    desk.page()  # what is wrong with the run is told here, not in the browser
    with open_server(desk, tell) as server:
        tell(
            f"xai-eval: open {server.url} in a browser on this machine to review the run in {results}. Only who knows "
            "this address can use it. Ctrl+C ends the review."
        )
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        desk.wait()
    tell("xai-eval: the review has ended. Every decision is stored.")
