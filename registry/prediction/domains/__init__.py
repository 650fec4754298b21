"""Domains of prompts and experts for them: sets of domains, their training, and routes."""
