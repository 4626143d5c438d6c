"""Copying a source from Drive to S3 and making sure of its bytes, resumable at every point."""
