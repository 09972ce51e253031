"""Numbers in and out of the network: transforms of columns, dates, lists and series, and the scales of predictions."""
