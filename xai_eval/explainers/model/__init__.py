"""What explainers do to a model while they run, undone when they end."""
