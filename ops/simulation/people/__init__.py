"""What people do to a simulated cluster while it is in trouble, and how they leave it.

Each of them works in a namespace of their own, named like the function; what they leave behind is
something that can be carried out, so that there is an end to wait for.
"""
