"""Volumes of pods: what they are made of, and the files that projected ones hold."""
