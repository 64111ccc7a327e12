"""Expression -> f_t and F_w: words, vocabulary, word vectors, and the encoders: recurrent or a transformer."""
