"""Parts of `mmtrain fit` next to the path of one training: groups, presets, resuming, sharing, tracking."""
