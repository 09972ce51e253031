"""Tasks whose answers are compared within groups of rows."""
