"""From what metrics say to how many replicas there shall be: the parts of the autoscaler."""
