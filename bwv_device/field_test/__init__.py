"""Tests a rig by what it can hear and see. `bwv check` and `bwv cues` share the analysis."""
