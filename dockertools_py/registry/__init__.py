"""Registries: the client of the OCI distribution spec, and what a lock file records of an image there."""
