"""Attributions: how much each pixel of the input speaks for or against a class."""
