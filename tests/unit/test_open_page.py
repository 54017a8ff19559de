"""Where a camera's page may listen: nowhere, unless somebody said so."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from bwv_device.errors import KeyFileError, MissingPartError
from bwv_device.live_panel.hub import Hub
from bwv_device.live_panel.open_page import NoPage, listen, open_page
from bwv_device.live_panel.page import Page
from bwv_device.live_panel.realtime_page import about_page
from bwv_device.settings import LivePanel, Settings
from bwv_device.web.listen import ListenError
from hal.panel.face import FacedBoard


def settings(tmp_path: Path, at: str = "") -> Settings:
    return replace(Settings(), live_panel=LivePanel(at, str(tmp_path / "token")))


def test_nothing_listens_by_itself(tmp_path: Path) -> None:
    assert listen(settings(tmp_path), None, simulated=False) is None
    assert listen(settings(tmp_path), None, simulated=True) is None


def test_an_option_opens_no_door_of_a_real_camera(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="real camera"):
        listen(settings(tmp_path), "127.0.0.1:0", simulated=False)


def test_a_real_camera_listens_on_loopback_only_and_with_a_token(tmp_path: Path) -> None:
    told: list[str] = []
    everywhere = settings(tmp_path, "192.0.2.7:0")
    assert listen(everywhere, None, simulated=False, warn=told.append) is None
    assert "ssh -L" in told[0]  # and the camera records
    opened = listen(settings(tmp_path, "127.0.0.1:0"), None, simulated=False)
    assert opened
    assert len(opened.token) >= 16
    assert opened.token in opened.address
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0
    opened.socket.close()


def test_without_an_address_there_is_no_page() -> None:
    page = open_page(None, object(), Settings(), None, simulated=True)  # type: ignore[arg-type]
    assert isinstance(page, NoPage)


def test_without_its_packages_a_real_camera_records_and_a_simulated_one_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bwv_device.live_panel.open_page.SERVER", "no_such_package")
    told: list[str] = []
    here = settings(tmp_path, "127.0.0.1:0")
    assert listen(here, None, simulated=False, warn=told.append) is None
    assert "bwv-device[panel]" in told[0]
    with pytest.raises(MissingPartError):
        listen(here, None, simulated=True)


def test_an_identity_that_opens_nothing_is_said_before_the_page_begins(tmp_path: Path) -> None:
    junk = tmp_path / "identity.txt"
    junk.write_text("junk")
    opened = listen(settings(tmp_path), "127.0.0.1:0", simulated=True)
    assert opened
    parts = dict.fromkeys([field.name for field in fields(FacedBoard)])
    with pytest.raises(KeyFileError):
        open_page(opened, FacedBoard(**parts), Settings(), junk, simulated=True)  # type: ignore[arg-type]
    opened.socket.close()


def test_a_page_without_a_session_serves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the one in which the camera happens to run, either."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("secret")
    (tmp_path / "scenario.toml").write_text("secret")
    monkeypatch.chdir(tmp_path)
    about = dict(about_page(Settings(), None, "", ""))
    page = Page(Hub(), {k: about[k] for k in Page.SHOWN}, print, None, tmp_path)
    client = TestClient(page.app())
    for path in ("/report/", "/report/index.html", "/scenario.toml", "/films/..%2Fscenario.toml"):
        assert client.get(path).status_code == 404
    assert client.get("/").status_code == 200
