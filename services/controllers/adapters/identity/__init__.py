"""What the controllers of accounts, certificates and trust ask for."""
