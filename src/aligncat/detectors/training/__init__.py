"""Training of query-based segmenters on objects with masks: the loop, its examples, its measure and its folder."""
