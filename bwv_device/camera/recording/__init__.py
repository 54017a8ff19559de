"""From captured units to sealed segments, in the order of the data."""
