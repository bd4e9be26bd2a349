"""Writes and reads files: each is written completely or not at all."""
