"""CLIP models, published and bundled."""
