"""Scores of models on benchmarks: a model of a table with holes, served as inner products.

`observations` and `links` state what is known, on a working scale, and `model_features` what the
catalog says of models; `factors` fits abilities of models and loadings of benchmarks with their
uncertainty, each side with the prior of its features (`feature_prior`) and that of models with
what neighbours have in common (`local_prior`); `error_scales` and `conformal` calibrate intervals
on held-out scores; `fit` is the whole, whose result predicts, places and folds in models
(`score_estimate`, `score_fit`), and `evidence` states what a prediction rests on. `blocks` measures
predictions across benchmarks that other models took. `score_baselines`
are the methods to compare with. No module here uses the database.
"""
