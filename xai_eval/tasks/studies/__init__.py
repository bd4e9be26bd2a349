"""Computes the three tasks of the published study: `comparison`, `hybrid` and `lime_search`."""
