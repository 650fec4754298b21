"""Routing: which model should answer a prompt, learned from outcomes on other prompts."""
