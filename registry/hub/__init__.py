"""The Hugging Face Hub: its client and the records that it returns."""
