"""What goes over the wire, line by line of `wire.md`, against a server of raw bytes."""
