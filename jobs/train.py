"""Nightly training (41 4 * * *): embeddings from new outcomes, and predictions from new scores."""

from registry.cli import main

if __name__ == "__main__":
    main("jobs", "run", "train")
