"""Statistics of training rows, and drift: how later rows differ from them."""
