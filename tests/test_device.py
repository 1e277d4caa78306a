"""What a process asks of its C library."""

from types import SimpleNamespace

import pytest

from deoldify_lite import device


@pytest.fixture
def asked(monkeypatch) -> dict[int, int]:
    """What glibc was asked for: option -> bytes or number."""
    options = {}
    monkeypatch.setattr(device, "_tuned", False)
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=options.__setitem__))
    return options


def test_a_command_keeps_what_it_frees(asked):
    device.tune_allocator()
    assert asked[device.M_TRIM_THRESHOLD] == asked[device.M_MMAP_THRESHOLD] == 2**30


def test_a_server_keeps_less_and_the_first_call_decides(asked):
    device.tune_allocator(server=True)
    wanted = dict(asked)
    device.tune_allocator()
    assert asked == wanted
    assert wanted[device.M_MMAP_THRESHOLD] < wanted[device.M_TRIM_THRESHOLD] < 2**30


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(device, "_tuned", False)
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: SimpleNamespace())
    device.tune_allocator()


@pytest.mark.parametrize("vendor", ["AuthenticAMD", "GenuineIntel"])
def test_the_vendor_of_the_processor(vendor, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(device, "Path", lambda name: file)
    monkeypatch.setattr(device.platform, "processor", lambda: f"Family 25, {vendor}")
    assert device.is_amd() == (vendor == "AuthenticAMD"), "no such file, as on Windows"
    file.write_text("processor: 0\nvendor_id: AuthenticAMD\n")
    assert device.is_amd()
