"""Says which tasks of installed packages cannot be loaded."""

from xai_eval.media.terminal import tell


def tell_unloadable() -> None:
    """Warn of each."""
    from xai_eval.tasks import unloadable_entry_points

    for sentence in unloadable_entry_points():
        tell(f"xai-eval: warning: {sentence}")
