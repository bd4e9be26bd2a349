"""Figures of fields and results."""
