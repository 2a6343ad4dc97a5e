"""Function libraries: each module has `DECLARATIONS` and `IMPLEMENTATIONS` by overload id."""
