"""The service as the sandbox plays it: operations, parameters, bodies and variants."""
