"""Controllers that keep what stores data from going while it is used."""
