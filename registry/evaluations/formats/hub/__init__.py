"""Evaluation results that the Hub publishes: in records and in files."""
