"""Where static pods come from, and their mirrors."""
