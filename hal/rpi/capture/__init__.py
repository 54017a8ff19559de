"""Camera and microphone of a Raspberry Pi, each in a process of its own."""
