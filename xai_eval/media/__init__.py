"""One function per medium, through which every text passes that this package shows: it stays text there."""
