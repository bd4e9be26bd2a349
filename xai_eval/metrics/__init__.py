"""Measures how good an explanation is, by small pure functions of numpy arrays.

scipy and scikit-image are imported inside the functions that use them. Importing them takes two seconds, and listing
the tasks must not take so long.
"""
