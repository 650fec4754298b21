"""Texts of items as encoders read them."""
