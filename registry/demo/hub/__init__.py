"""Stand-in Hub: sample models over HTTP on the loopback interface."""
