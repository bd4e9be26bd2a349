"""Known answers that check the metrics, once per process and before anything is measured with them."""
