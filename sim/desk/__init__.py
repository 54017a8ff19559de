"""`bwv-sim desk`: an agency's evidence desk on one machine, with something to look at."""
