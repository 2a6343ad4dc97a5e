"""The controller that deletes what has lost its owner."""
