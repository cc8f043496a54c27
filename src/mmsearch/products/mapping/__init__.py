"""Fields of ours from anywhere in a record: what `--map` says."""
