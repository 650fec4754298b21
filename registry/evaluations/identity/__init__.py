"""Identity of benchmarks: canonical names, aliases, and ways of prompting that names stand for."""
