"""Known answers that check the metrics."""
