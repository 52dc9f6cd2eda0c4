"""The command `lcphone` (extra `cli`), which uses the public client."""
