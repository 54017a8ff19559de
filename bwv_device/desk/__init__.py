"""The evidence desk: a web process that hands out sealed bytes and signed lines, and lines to be
signed. It holds no key: it can neither watch nor act (docs/desk.md). Needs the extra `[desk]`.
"""
