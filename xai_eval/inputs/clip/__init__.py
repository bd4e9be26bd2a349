"""Load CLIP models: published ones, and the small one that is bundled."""
