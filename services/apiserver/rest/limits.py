"""What is taken of a body, in whatever encoding it comes."""

DEPTH_MAX = 100
DUPLICATES_TOLD_MAX = 10
