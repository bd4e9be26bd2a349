"""Verdicts as sentences, tables and documents."""
