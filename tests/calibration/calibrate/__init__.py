"""Studies of calibration and coverage: what they draw, and how their replicates are kept."""
