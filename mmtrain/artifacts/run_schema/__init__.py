"""Contents of the files of a run folder that describe the run: classes that check what they read."""
