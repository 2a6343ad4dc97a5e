"""What the controllers of budgets, quotas and policies ask for."""
