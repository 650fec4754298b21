"""Evaluation of routers: contests on held-out prompts, by the metrics that the field reports."""
