"""Lists of prices in files: their formats, and their import."""
