"""Training: blocks of pairs, the Keras model and what trains it, checkpoints."""
