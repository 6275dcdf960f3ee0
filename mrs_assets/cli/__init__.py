"""`mrs …`: the command line. Results go to stdout, progress and mistakes to stderr."""

from mrs_assets.cli.app import main

__all__ = ["main"]
