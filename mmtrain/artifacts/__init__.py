"""The run folder: its files and the classes of their contents."""
