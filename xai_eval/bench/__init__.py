"""Measures how fast the explainers are on this machine, beside the plain libraries, in one run."""
