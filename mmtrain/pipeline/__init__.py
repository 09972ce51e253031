"""Steps that commands share: load, validate, build, train, restore and predict."""
