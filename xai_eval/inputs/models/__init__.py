"""Load models: from a spec such as "torchvision:resnet50" to a `Classifier`."""
