"""A Raspberry Pi with camera, microphone and panel. Each library that can hang has a process."""
