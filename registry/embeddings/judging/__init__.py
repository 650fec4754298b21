"""Judgement of trained versions: what each is measured by, and whether it becomes current."""
