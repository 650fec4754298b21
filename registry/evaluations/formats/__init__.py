"""Formats of evaluations, each in a module or package: read into `evaluations.records`, written."""
