"""Search over the settings of an experiment: the space, its check against the experiment's own rules, and the study of trials."""
