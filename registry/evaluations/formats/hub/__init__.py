"""Evaluation results that the Hub publishes: in records and in files."""

from registry.evaluations.formats.hub.files import read, recognizes
from registry.evaluations.formats.protocol import no_parts as parts

__all__ = ["DESCRIPTION", "parts", "read", "recognizes"]

DESCRIPTION = ".eval_results/*.yaml of a model's repository, model-index of its README.md"
