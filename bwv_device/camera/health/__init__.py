"""Battery, free space and wall clock."""
