"""Words and their vectors: text, vocabulary, pairs, training, search and the served model. Knows nothing of TFX."""
