"""Cold start: vectors of models without outcomes, predicted from the catalog.

`features` turns descriptions into sparse feature blocks, by the statistics of `corpus`, the n-grams
of `ngrams` and the lineage of `lineage_kernel`; `kernel` weights the blocks into similarities; `gp`
predicts vectors and their variance from those of trained models, and `influence` says which of them
count most; `fold_in` updates a prediction by a few outcomes; `calibration` scales deviations.
`trial`, `predictors` and `protocol` are the cold-start tests; `similarity_graph` and `simrmf` are
the method of the SimRMF paper, `pca` and `fold_in_linear` work in the space of components of
outcomes. No module here uses the database.
"""
