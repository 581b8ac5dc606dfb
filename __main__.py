"""python -m framebank: the same as the command framebank."""

from framebank.cli import main

if __name__ == "__main__":
    main()
