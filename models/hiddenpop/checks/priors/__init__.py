"""Other priors: halved and doubled, and power-scaled."""
