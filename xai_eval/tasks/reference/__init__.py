"""Checks the metrics on inputs with known results, once per process and before they measure anything."""
