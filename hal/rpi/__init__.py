"""A Raspberry Pi with camera, microphone and panel. A library that can hang has a process."""
