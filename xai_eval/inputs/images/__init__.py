"""Image sets: names of images in, decoded images out."""
