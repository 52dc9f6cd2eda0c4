"""Tests of the command, which runs as a process of its own."""
