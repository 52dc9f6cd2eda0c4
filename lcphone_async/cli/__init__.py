"""The command `lcphone` (extra `cli`), over the client as any other program."""
