"""Facts about kinds, one file a family: small typed views and the rules that readers share.

A view has only the fields somebody decides by. Whoever writes, writes by patch, so a view can not
lose what it does not know.
"""
