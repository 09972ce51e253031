"""Values of `auto`, found by short trials on this device: batch size and precision, learning rate, fusion, tuning of encoders."""
