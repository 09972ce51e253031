"""Programs that run an export, one per format, each copied beside its exports. None imports anything of mmtrain but its layers."""
