"""The Container Network Interface, version 1.0.0: its words, and the runtime's side of it.

``protocol`` has the values that runtimes and plugins exchange, ``invoke`` executes plugins and
remembers what they answered. Nothing here is asynchronous: a plugin is a short-lived process, and
what it imports is pod start time.
"""
