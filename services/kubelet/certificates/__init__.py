"""The kubelet's own certificates: asked of the cluster's signers, and anew in good time."""
