"""Commands on predictions: `predict` of scores, and `route` of prompts."""
