"""The plots of the report and the diagram of the network."""
