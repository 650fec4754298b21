"""Learned embeddings: training, versions, placement, nearest models and export."""
