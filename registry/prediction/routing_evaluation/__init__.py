"""Evaluation of routers on stored outcomes: the same held-out items for all, results kept."""
