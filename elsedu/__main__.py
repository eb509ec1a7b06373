"""`python -m elsedu` is the command `elsedu`."""

from elsedu.cli import main

if __name__ == "__main__":
    main()
