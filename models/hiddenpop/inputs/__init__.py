"""What users bring: read once, checked with all faults reported together, then frozen."""
