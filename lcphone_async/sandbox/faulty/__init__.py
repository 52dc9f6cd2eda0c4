"""Fault injection: rules, and how each damages a request or its response."""
