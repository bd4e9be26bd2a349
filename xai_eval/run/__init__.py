"""Runs tasks: evaluates them, measures their noise, and computes a case again with single factors restored."""
