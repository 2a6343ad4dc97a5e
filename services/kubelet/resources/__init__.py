"""What pods may use: classes of service, limits, resizing, and who is admitted."""
