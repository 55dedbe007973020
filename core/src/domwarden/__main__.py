"""The door of ``python -m domwarden``."""

from domwarden.cli import main

main()
