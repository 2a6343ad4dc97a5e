"""What the API server calls: nodes' kubelets, its neighbours' health, and a store elsewhere."""
