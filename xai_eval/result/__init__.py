"""The wall: what an evaluation found, to and from disk."""
