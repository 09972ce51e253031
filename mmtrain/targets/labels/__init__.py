"""Tasks whose answers are classes, levels or labels."""
