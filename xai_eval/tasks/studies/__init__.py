"""The tasks of the published study: `comparison`, `hybrid`, `lime_search`."""
