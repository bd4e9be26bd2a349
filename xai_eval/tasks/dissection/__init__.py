"""The task `dissection`: what the units of a network respond to."""
