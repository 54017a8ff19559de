"""Power cuts below a real ext4: every write of a run is logged, and any prefix of it replayed."""
