"""The pins of a Raspberry Pi, in a process of their own."""
