"""Runs, goldens, their history, their noise and the quarantine on disk, and the lock that says who may write."""
