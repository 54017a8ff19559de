"""MP4 and H.264 as a camera writes them, and as films are read."""
