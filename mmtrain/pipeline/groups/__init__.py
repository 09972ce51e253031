"""Groups of trainings (folds, seeds): their members, results, and what commands do with all of them together."""
