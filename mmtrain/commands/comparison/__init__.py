"""Commands that put runs next to each other."""
