"""Comparisons of training methods and of cold starts, and their stored results."""
