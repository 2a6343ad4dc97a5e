"""The kubelet's certificates, and who asks it."""
