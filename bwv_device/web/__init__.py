"""What every page of this project stands on: where it listens, who may read it, what a browser may
do with it, and the libraries that are shipped with it (`static/vendor.toml`).

Needs the extra `[panel]`. The recording process loads nothing of it.
"""
