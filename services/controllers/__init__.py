"""The controller manager: one loop a kind, all in one process, each driving what is to what is declared."""
