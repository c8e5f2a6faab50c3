"""`python -m hub` is `tsunagi`."""

from hub.cli import main

if __name__ == "__main__":
    main()
