"""Subcommands of `bwv`, one file each."""
