"""``python -m model_discovery``: the command line without an installed script."""

from model_discovery.cli import main

if __name__ == "__main__":
    main()
