"""Plots of the report, and the diagram of the network."""
