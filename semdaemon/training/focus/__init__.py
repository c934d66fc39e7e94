"""Training and evaluation of the learned blur estimator."""
