"""What runs on a schedule: a few lines each, calling a workflow. `registry jobs` lists them."""
