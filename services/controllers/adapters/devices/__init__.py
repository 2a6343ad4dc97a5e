"""What the controllers of devices and their claims ask for."""
