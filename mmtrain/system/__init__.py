"""The machine: paths, folders, memory, threads, and code that a user brings."""
