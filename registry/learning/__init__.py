"""Statistical models without a database: factorization, cold start, encoders, metrics."""
