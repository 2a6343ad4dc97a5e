"""Images on the node: with whose credentials they are pulled, and which go when nobody needs them.

Dead containers go with them, and the Node tells of what is there.
"""
