"""The parts of `loglinear_average`: models by maximum likelihood and under proper priors."""
