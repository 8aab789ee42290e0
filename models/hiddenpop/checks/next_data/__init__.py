"""How much narrower an interval would be with further data."""
