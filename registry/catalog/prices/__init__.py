"""Prices of models: offers of providers, their models, and what they cost from when to when."""
