"""``python -m clerk_runner``: the command line."""

from clerk_runner.cli import main

main()
