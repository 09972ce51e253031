"""The machine: paths, folders, memory, threads, worker processes, and code that a user brings."""
