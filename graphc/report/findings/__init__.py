"""The findings of a lint run, one file per output format; `render` of `rendering` chooses between them."""
