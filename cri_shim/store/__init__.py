"""What is known of sandboxes and containers, and what is kept of it."""
