"""The database: connections, bulk load, jobs, schema, SQL surface and the embedded server."""
