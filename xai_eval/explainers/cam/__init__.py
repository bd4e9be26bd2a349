"""Class activation maps: pytorch-grad-cam's methods on any classifier."""
