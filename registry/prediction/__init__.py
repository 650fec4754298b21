"""Predictions for models that were not evaluated, and the choice of a model for a prompt."""
