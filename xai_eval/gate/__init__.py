"""Judges cases and whole runs: compares results with goldens and returns verdicts. Needs no torch."""
