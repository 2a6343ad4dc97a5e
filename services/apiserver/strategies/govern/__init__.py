"""Who may do what, and how much: roles, certificates, budgets, admission, flow control."""
