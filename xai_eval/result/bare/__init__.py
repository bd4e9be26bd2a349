"""Bare values: arrays, tensors, numbers and tables that no task computed become fields of a Result."""
