"""What is said of an error that nobody expected."""

from __future__ import annotations

import traceback

from xai_eval.disk.system_errors import folder_sentence, machine_sentence
from xai_eval.errors import error_line
from xai_eval.media.terminal import tell_block


def unexpected(error: BaseException) -> str:
    """Return a sentence about an error; if it is none of the machine, its traceback is printed before."""
    told = folder_sentence() or machine_sentence(error)
    if told is None:
        tell_block("".join(traceback.format_exception(error)).rstrip())
        told = f"unexpected {error_line(error)}. The traceback is above."
    return told
