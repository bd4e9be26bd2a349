"""What every explainer does to a model and has to leave as it came."""
