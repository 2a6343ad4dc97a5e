"""One pod on its node, as values: what it asks for, what is, what comes next. Pure."""
