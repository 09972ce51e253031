"""What training rows look like, and how rows that come later differ from them."""
