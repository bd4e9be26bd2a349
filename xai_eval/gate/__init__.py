"""Decides: verdicts on cases and on whole runs. Needs no torch."""
