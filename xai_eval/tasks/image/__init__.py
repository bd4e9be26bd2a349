"""What all tasks on images share: checking their options, running the model, and naming stages."""
