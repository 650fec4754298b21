"""The sync of the Hub's listing into the catalog."""
