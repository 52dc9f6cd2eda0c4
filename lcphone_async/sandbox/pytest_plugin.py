"""The pytest fixtures that come with the package."""
