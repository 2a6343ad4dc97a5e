"""What the controllers of volumes, claims and stored forms ask for."""
