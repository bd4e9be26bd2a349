"""Explainers: plain functions, model and images in, arrays out. They call the real libraries."""
