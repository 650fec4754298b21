"""Log of routers' decisions: what was chosen, what became of it, and whether that drifts."""
