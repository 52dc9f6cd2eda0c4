"""The sandbox's OAuth app: installations, tokens, and who may do what."""
