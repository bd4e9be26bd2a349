"""What an evaluation starts from: models with preprocessing and class names, images, probe sets, downloads."""
