"""The pytest plugin. Every pytest run loads it, so nothing is imported here."""
