"""Reports on scores: sections of sentences, tables and figures, as a page or as Markdown."""
