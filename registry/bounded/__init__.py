"""Input of unknown origin, read in bounded memory and time."""
