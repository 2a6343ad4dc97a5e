"""The controller that empties namespaces on their way out."""
