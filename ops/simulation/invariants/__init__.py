"""What must hold whatever goes wrong; one file a family of promises.

Each invariant is shown every commit and says, in a sentence, what is broken by it. What a
controller acts on may be a while old (``MEMORY_SECONDS``): limits are the most generous ones of
that while, and nothing is held against a controller that somebody else did.
"""
