"""The wire, without I/O: arguments to requests, answers to models or to an error."""
