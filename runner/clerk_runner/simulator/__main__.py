"""`python -m clerk_runner.simulator`: the same as `clerk-batch simulate`."""

from clerk_runner.cli.simulate import simulate

if __name__ == "__main__":
    simulate()
