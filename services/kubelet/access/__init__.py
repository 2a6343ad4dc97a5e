"""Who may ask the kubelet what: the API server is asked, and its answers are kept for a while."""
