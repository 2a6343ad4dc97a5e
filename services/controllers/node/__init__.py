"""Controllers that watch over nodes and what is bound to them."""
