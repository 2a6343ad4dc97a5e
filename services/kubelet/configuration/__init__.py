"""KubeletConfiguration (kubelet.config.k8s.io/v1beta1): its fields and defaults, files, checks."""
