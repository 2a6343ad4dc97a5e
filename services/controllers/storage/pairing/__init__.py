"""What makes a pair of a claim and a volume, and what ends it."""
