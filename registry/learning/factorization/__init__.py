"""Factorization of outcomes: models' vectors and probabilities, on a CPU or a GPU.

Every method takes a `Problem` (observed outcomes, item texts) and returns a `Fit`, which predicts
the probability that any model is right on any item of the problem. An item without outcomes is a
column without observations, a model without outcomes a row. Methods that use texts predict such an
item from its text, others from their prior over items.

`selection` chooses the method of a training; the default blends `irt`, `knn` and `text_gp`.
`baselines` and `mf` are there to compare with. No module here uses the database.
"""
