"""What is shipped of other people's libraries is what they published."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import bwv_device.web

STATIC = Path(bwv_device.web.__file__).parent / "static"


def test_each_vendored_library_is_the_published_one(tools: Path) -> None:
    listed = tomllib.loads((STATIC / "vendor.toml").read_text())["library"]
    shipped = {path.name for path in STATIC.glob("*.js")}
    assert {library["file"] for library in listed} == shipped
    for library in listed:
        data = (STATIC / library["file"]).read_bytes()
        package = tools / "node_modules" / library["package"]
        assert hashlib.sha256(data).hexdigest() == library["sha256"]
        assert data == (package / library["path"]).read_bytes()
        about = json.loads((package / "package.json").read_text())
        assert (about["version"], about["license"]) == (library["version"], library["licence"])
        licence = STATIC / f"{library['file'].partition('.')[0]}.LICENSE"
        assert licence.read_bytes() == (package / "LICENSE").read_bytes()
