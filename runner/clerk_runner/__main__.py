"""The command line as a process. Signals come first: importing it takes a while, in which Ctrl-C leaves no trace."""

from clerk_runner.interruption import listen_for_interrupts

__all__ = ["main"]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    listen_for_interrupts()
    from clerk_runner.cli import main as command_line  # noqa: PLC0415  only when a signal is answered

    command_line()


if __name__ == "__main__":
    main()
