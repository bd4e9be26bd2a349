"""How good an explanation is: small pure functions over numpy arrays.

scipy and scikit-image are imported where they are used: they take two seconds, which listing the tasks must not.
"""
