"""Taking in what cameras deliver: verified, re-read, receipted."""
