"""What is written and said, byte by byte (docs/format.md). Pure: no disk, no clock, no agent."""
