"""Bounds: input of unknown origin read in bounded memory and time, and waits that end."""
