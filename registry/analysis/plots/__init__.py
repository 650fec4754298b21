"""Plots of analyses: the map of an embedding space and the heat map of contributions."""
