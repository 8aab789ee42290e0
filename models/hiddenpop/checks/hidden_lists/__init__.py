"""Lists whose size is known, hidden and predicted from the others."""
