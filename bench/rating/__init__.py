"""What `bench.quality` is made of: clips, encodes, scores, what it is compared with, plots."""
