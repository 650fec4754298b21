"""Common space of models that were evaluated on different benchmarks.

Benchmarks that mostly the same models took form an exam. Each exam has a fit of its own, whose
abilities have their own rotation and scale: models of two exams are not comparable by them. Here
the abilities of all exams get one Gaussian prior, given the catalog and each other, and each model
the posterior of all of them given its outcomes on any.
"""
