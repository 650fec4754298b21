"""Formats of evaluations, one module each: from files to `registry.evaluation` and back."""
