"""Explainers: plain functions that take a model and images and return arrays. The published libraries compute."""
