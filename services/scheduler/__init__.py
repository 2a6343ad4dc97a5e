"""Gives each pod without a node the best one: filter, score, bind through the API server."""
