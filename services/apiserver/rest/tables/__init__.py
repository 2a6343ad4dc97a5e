"""Tables: the columns that kubectl prints, as data with small cell functions. Pure."""
