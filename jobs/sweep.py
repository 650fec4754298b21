"""Weekly sweep (23 3 * * 0): the whole listing, to find vanished models and refresh counters."""

from registry.cli import main

if __name__ == "__main__":
    main("jobs", "run", "sweep")
