"""Backups of the whole database in one file, and restores of them, verified by fingerprints.

A backup is an archive of pg_dump, which pg_restore reads too, with a manifest behind it.
"""
