"""Texts: spelling, words, dates and what a terminal may show."""
