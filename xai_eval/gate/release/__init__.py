"""Answers the release question over a set of images: after an upgrade, is the explanation still as good? Pure."""
