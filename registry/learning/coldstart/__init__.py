"""What is known of models that nobody has evaluated: vectors from what the catalog says of them.

`description` reads records into sparse blocks of features, `kinship` lineage, `kernel` weighs them
into similarities, `prior` predicts vectors with their uncertainty from those of evaluated models,
`folding` corrects them by a few outcomes, `components` turns outcomes into vectors and back.
`graph` and `simrmf` are the similarity-regularised factorization of the paper; `protocol` measures
all of it. Nothing here knows a database.
"""
