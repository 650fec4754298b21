"""A stand-in Hub that serves generated models over HTTP."""
