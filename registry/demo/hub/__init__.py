"""Sample Hub: an HTTP server, its listing and its models."""
