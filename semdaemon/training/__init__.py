"""Degradations, corpora, the training loop and the evaluation of refocusing networks."""
