"""Fast paths of ScoreCAM and AblationCAM, proved equal to pytorch-grad-cam by tests."""
