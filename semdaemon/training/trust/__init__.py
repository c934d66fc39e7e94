"""How far a refocused result can be trusted: fitted, calibrated, and checked against the truth."""
