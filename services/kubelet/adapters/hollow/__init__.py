"""A node without a machine: the kubelet's ports over nothing but memory."""
