"""Service traffic on one node: ClusterIP and NodePort as one nftables table of our own."""
