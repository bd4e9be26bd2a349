"""Computes the task `lime`: superpixels and their weights."""
