"""Pages on other things than one training: a group, a search, a leaderboard, the contents of a table."""
