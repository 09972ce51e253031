"""What `mmtrain fit` is made of, next to the path of one training: groups, presets, resuming, sharing, tracking."""
