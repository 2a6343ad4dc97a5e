"""Addresses and node ports of Services: given out once, kept while the Service lives."""
