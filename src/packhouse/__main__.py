"""`python -m packhouse` is the command `packhouse`."""

from packhouse.cli.main import main

if __name__ == "__main__":
    main()
