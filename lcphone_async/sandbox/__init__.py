"""A local LC Phone service."""
