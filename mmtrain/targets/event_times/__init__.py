"""Tasks whose answers are times to an event."""
