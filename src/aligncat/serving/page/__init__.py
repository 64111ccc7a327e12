"""A page in the browser: a photo and phrases in, boxes, masks and scores out. It asks the server that it is part of."""
