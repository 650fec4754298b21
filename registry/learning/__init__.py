"""Statistical models without a database: factorization, cold start, encoders, metrics."""

import os

# Read when torch is loaded. Threads that spin while they wait slow each other down where other
# programs use the processors: beside three busy ones on two cores, a training took 29 s instead of
# 20. On a quiet machine both take the same time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
