"""Exports: walkers ask for pages, the spool keeps them, sinks write the output from it."""
