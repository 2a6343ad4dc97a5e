"""Static pods: manifests on the node, and their mirrors in the API."""
