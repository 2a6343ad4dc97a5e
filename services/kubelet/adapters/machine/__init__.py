"""The machine: its kernel, cgroups, processors, and its going down."""
