"""What an evaluation starts from: models with their preprocessing and classes, pictures, pinned downloads."""
