"""Service levels read from the logs and written to theirs: what `mrs_assets.slo` judges, kept without Dagster."""
