class LibavH264Encoder:
    firsttimestamp = 0

    def __init__(self, framerate=5, **asked):
        self.framerate = framerate
