"""The subcommands of `bwv-sim`."""
