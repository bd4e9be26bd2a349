"""The configuration file of a repository: found, read and checked with the standard library alone."""
