"""Requests from the public: their clocks by law, what is held for them, how they are answered."""
