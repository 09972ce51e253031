"""Commands on the installation: its caches, its pretrained encoders, the names that experiment files can use."""
