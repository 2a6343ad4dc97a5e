"""Controllers of claims of devices: who has one, who may use it, and who has to leave one."""
