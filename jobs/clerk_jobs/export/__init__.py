"""What an export walks and keeps: pages, slices of time, anchored offsets, columns. Pure, without I/O."""
