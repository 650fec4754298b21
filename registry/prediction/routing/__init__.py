"""The choice of a model for a prompt."""
