"""LIME: the library's own surrogate on shared, batched predictions."""
