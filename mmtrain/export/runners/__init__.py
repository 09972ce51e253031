"""Programs that run an export, one per format, copied next to each export. They import nothing of mmtrain, `keras` only its layers."""
