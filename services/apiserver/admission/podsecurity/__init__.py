"""The pod security standards: privileged, baseline and restricted, by labels of namespaces."""
