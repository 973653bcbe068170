"""What Primer (So et al., NeurIPS 2021) adds to graphc: a layer, the rewrite it likes, and a lint."""
