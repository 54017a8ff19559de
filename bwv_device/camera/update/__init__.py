"""A signed update of the camera's software, in the dock (docs/format.md, 9; decisions/0031)."""
