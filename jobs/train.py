"""Nightly training (41 4 * * *): a version of embeddings from new outcomes, if there are any."""

from registry.cli import main

if __name__ == "__main__":
    main("jobs", "run", "train")
