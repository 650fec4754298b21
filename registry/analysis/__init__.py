"""Analyses of stored vectors and outcomes: probes, communities, maps."""
