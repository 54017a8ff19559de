"""What the store holds: whether all of it is there, and moving it to another place."""
