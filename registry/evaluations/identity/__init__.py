"""Identity of items and benchmarks: contents, canonical names, aliases, ways of prompting."""
