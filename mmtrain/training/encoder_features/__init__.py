"""Features of frozen encoders: computed once per image or distinct text, cached, and read like any encoded column."""
