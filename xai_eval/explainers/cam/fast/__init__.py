"""Faster ScoreCAM and AblationCAM; tests hold their maps to those of unmodified pytorch-grad-cam."""
