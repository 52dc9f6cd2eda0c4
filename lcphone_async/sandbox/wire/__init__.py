"""What the sandbox says on the wire: operations, bodies, refusals and variants."""
