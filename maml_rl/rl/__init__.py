"""From an environment to the batches that losses take."""
