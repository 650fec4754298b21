"""Checks of evaluations: what looks wrong in the scores and outcomes that sources state."""
