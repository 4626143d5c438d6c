"""The ends of the copy benchmark: where films come from, where they go, and what moves them."""
