"""`bwv demo`: one shift and the weeks after it, with a page as the result."""
