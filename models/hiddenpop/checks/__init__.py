"""Whether a result can be trusted, and what it rests on."""
