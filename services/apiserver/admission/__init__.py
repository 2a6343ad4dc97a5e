"""What the server itself adds to an object, or refuses, before it is validated."""
