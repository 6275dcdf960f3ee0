"""What has to be recomputed after inputs changed, as data, before anything runs."""
