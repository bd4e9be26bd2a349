"""Sets of images to explain: from a name, a folder or a file to decoded images."""
