"""What the published schemas say of an object, compiled once per kind.

    definition ─▶ walker: refuses wrong types, drops unknown fields and nulls, names missing fields
               └▶ shape:  how lists and maps merge under a strategic patch

The walkers are closures: the only thing done per object is to look at its fields.
"""
