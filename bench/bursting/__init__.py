"""The pieces of the burst benchmark."""
