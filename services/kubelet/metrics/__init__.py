"""What scrapers are shown: usage under the names of cAdvisor and of the kubelet, and what the
kubelet counts of itself.

Pure, but for the counting.
"""
