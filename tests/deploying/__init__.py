"""`slimreel deploy`, `destroy`, `setup` and `doctor` against an empty stand-in cloud."""
