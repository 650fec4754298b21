"""Predicted scores: the score model fitted to all scores of the catalog, stored and served.

A version is fitted (`fitting`) to one score of each model on each canonical benchmark (`table`),
its vectors are stored (`storage`) for all models of the catalog (`placing`), and SQL predicts from
them (`registry.predict`, `registry.predictions`), which `forecasts` reads for the command line.
"""
