"""Hourly sync (17 * * * *): new and changed models of the Hub into the catalog."""

from registry.cli import main

if __name__ == "__main__":
    main("jobs", "run", "sync")
