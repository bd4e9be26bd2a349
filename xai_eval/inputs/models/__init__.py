"""Models: specs in, classifiers out."""
