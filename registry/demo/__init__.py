"""A sample Hub on the loopback interface, for the tour of the product, tests and measurements."""
