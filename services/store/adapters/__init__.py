"""The store's journal, on SQLite."""
