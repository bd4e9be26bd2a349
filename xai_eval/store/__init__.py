"""What is kept on disk, and who may write: runs, goldens, history, noise, quarantine."""
