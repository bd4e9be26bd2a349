"""What the command line returns, besides the exit codes of errors (xai_eval/errors.py)."""

EXIT_OK, EXIT_DRIFT, EXIT_NOTHING, EXIT_INTERRUPTED = 0, 1, 3, 130
