"""What the officer wants: buttons, markers, mute and covert mode."""
