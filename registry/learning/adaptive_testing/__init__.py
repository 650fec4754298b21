"""Adaptive testing: the score of a whole benchmark from a few of its items.

`known` has the outcomes of known models, unobserved ones imputed; `neighbourhood` regresses a score
on answers over the known models that answered alike; `item_selection` chooses items, in a fixed
order or by the answers so far; `estimation` gives the whole score with its interval. No module here
uses the database, nor torch.

The words are those of computerized adaptive testing (van der Linden and Glas, Elements of Adaptive
Testing, 2010). The model is not that of item response theory: the outcomes of models depend on each
other in more ways than a few abilities explain, and the covariances of thousands of known models
say more. See docs/predictions.md for figures.
"""
