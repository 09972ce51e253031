"""Post-hoc calibration, decision threshold and conformal bound."""
