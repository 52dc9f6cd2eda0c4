"""Lists: pages of numbers, an agency's locations, searches of several countries."""
