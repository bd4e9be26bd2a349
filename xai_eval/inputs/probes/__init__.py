"""Probe sets and concept sets of dissections."""
