"""A camera in a browser: what it sees and shows, its buttons, its ledger and its recordings.

The page has a process of its own. The camera hands it a copy of what happens through a queue with a
limit; whatever the page, its process or its browsers do, a recording is not held up
(docs/panel.md).
"""
