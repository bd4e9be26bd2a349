"""Runs tasks: evaluate, calibrate, and compute a case again with factors restored."""
