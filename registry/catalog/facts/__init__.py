"""Facts that sources of evaluations state of models, and the sizes and licences that count."""
