"""The report of a run: what is recorded while it works, and the page that is made from it."""
