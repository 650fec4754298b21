"""A map of an embedding space: two dimensions of many, as a page and as a picture."""
