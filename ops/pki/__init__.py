"""The cluster's own certificate authority, every certificate it signs, and the admin's kubeconfig.

authority   signs: one CA, keys that never leave their 0600 files, renewal before they run out
plan        which certificates a cluster has: names, groups, addresses (values only)
kubeconfig  admin.conf for kubectl
"""
