"""Outcomes of models on items -> factors and probabilities, on a CPU or a GPU; no database.

Every method takes a `Problem` (which outcomes were observed, what the items say) and gives a
`Fit`, which predicts the probability of any model's being right on any item of the problem. An
item without outcomes is a column without observations, a model without outcomes a row: methods
that know text predict such an item from its text, others from what they believe of any item.
"""
