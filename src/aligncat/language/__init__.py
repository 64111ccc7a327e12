"""Text encoding: from an expression to f_t and F_w, with a recurrent encoder or a pretrained transformer."""
