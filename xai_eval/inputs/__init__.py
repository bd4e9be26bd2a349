"""What an evaluation starts from: models with their preprocessing and classes, images, pinned downloads."""
