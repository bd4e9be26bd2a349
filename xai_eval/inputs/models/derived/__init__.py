"""Make a `Preprocessing` of any callable from an image to a tensor, by measuring what the callable does."""
