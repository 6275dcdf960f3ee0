"""`python -m mrs_assets …` is `mrs …`."""

from mrs_assets.cli import main

if __name__ == "__main__":
    main()
