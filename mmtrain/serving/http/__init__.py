"""The HTTP of a server: addresses, bodies, keys, its description and its page."""
