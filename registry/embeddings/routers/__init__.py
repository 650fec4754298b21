"""Routers of a version: learned from its outcomes, stored with it, and read to serve in numpy."""
