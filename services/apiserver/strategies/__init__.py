"""What each kind adds to the one request path: defaults, and rules beyond its schema.

A kind without a file here has the generic strategy of :mod:`.every`. All functions are pure; they
see objects that have already been walked along their schema, so types are right and required
fields of the schema are there or named in the report.
"""
