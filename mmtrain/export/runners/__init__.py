"""Programs that run an export, one per format. None imports anything of mmtrain."""
