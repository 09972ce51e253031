"""One plain function per command. Read these first: each tells its story from top to bottom."""
