"""What the controllers of every kind ask for: owners and namespaces."""
