"""Measures of how good an explanation is: small pure functions over numpy arrays."""
