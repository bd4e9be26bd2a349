"""Steps of explanations, tried on a network, an image and data that never change."""
