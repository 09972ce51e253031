"""Profile of an undescribed table: contents of its columns, and their probable roles."""
