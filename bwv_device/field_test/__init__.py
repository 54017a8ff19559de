"""What a rig does, heard and seen: the same analysis for `bwv check` and for any recording."""
