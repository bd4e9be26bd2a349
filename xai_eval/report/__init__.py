"""Verdicts to people: page, figures, tables, sentences."""
