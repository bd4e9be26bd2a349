"""The task `lime`: superpixels and their weights."""
