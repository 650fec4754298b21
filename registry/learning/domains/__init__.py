"""Domains of prompts: classifiers of vectors and words, their calibration, and a router by them."""
