"""One folder with a page that shows what grounders answered, right and wrong, in pictures."""
