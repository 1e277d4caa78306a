"Building the site: the runtime is the pinned one or there is a sentence, and nobody's folder is overwritten."

import gzip
import hashlib
import json
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.errors import UsageError
from deoldify_lite.web import build, runtime
from deoldify_lite.web.runtime import RuntimeUnavailable, find_runtime

needs_onnx = pytest.mark.skipif(find_spec("onnx") is None, reason="an extra: export")


def command(*arguments: str | Path):
    return CliRunner().invoke(program, ["web", *map(str, arguments)], env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture
def no_registry(monkeypatch, tmp_path):
    "Nothing is cached, and nobody answers."
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")


def test_without_a_connection_there_is_a_sentence(no_registry, tmp_path):
    result = command(tmp_path / "site")
    assert result.exit_code == 3
    assert "onnxruntime-web-" in result.stderr and "could not be fetched" in result.stderr
    assert "--runtime" in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_another_file_is_refused(no_registry, monkeypatch, tmp_path):
    (tmp_path / "a.tgz").write_bytes(b"not the package")
    result = command(tmp_path / "site", "--runtime", tmp_path / "a.tgz")
    assert result.exit_code == 3 and "its hash differs" in result.stderr
    assert command(tmp_path / "site", "--runtime", tmp_path / "b.tgz").stderr.endswith("no such file\n")
    monkeypatch.setattr(runtime.urllib.request, "urlopen", lambda address, timeout: (tmp_path / "a.tgz").open("rb"))
    with pytest.raises(RuntimeUnavailable, match="its hash differs"):
        find_runtime()
    assert not list((tmp_path / "cache").rglob("*.tgz")), "what is wrong is not kept"


def test_the_package_is_downloaded_once(package, no_registry, monkeypatch):
    asked = []
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://registry.example/npm/")
    monkeypatch.setattr(
        runtime.urllib.request, "urlopen", lambda address, timeout: asked.append(address) or package.open("rb")
    )
    assert find_runtime() == find_runtime()
    assert asked == [f"https://registry.example/npm/onnxruntime-web/-/onnxruntime-web-{runtime.VERSION}.tgz"]


def test_a_folder_with_other_things_is_left_alone(no_registry, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear grandmother")
    result = command(tmp_path)
    assert result.exit_code == 2 and "is no site of this command" in result.stderr
    assert (tmp_path / "letter.txt").read_text() == "Dear grandmother"
    with pytest.raises(UsageError):
        build.check_target(tmp_path / "letter.txt")


def test_a_build_js_of_others_and_a_repository_are_no_site_to_be_replaced(tmp_path):
    (tmp_path / "build.js").write_text("import esbuild from 'esbuild';")
    with pytest.raises(UsageError, match="is no site of this command"):
        build.check_target(tmp_path)
    (tmp_path / "build.js").write_text(f"{build.FIRST_LINE}\n")
    build.check_target(tmp_path)
    (tmp_path / ".git").mkdir()
    with pytest.raises(UsageError, match="is a repository"):
        build.check_target(tmp_path)


@pytest.fixture
def built(site) -> dict:
    return json.loads(re.search(r"self.BUILD = (.*);", (site / "build.js").read_text())[1])


@pytest.mark.slow
def test_every_file_is_known_and_what_is_large_has_its_hash(site, built):
    assert sorted(built["shell"] + built["large"]) == sorted(path.name for path in site.iterdir())
    parts = [built["model"], *(backend["binary"] for backend in built["runtimes"].values())]
    for part in parts:
        stored = (site / part["file"]).read_bytes()
        assert len(stored) == part["bytes"]
        assert hashlib.sha256(gzip.decompress(stored)).hexdigest() == part["sha256"]
    assert built["engine"]["renderFactor"] == 6 == 96 // 16


@pytest.mark.slow
def test_nothing_names_another_host(site, built):
    for name in built["shell"]:
        if not name.endswith((".png", ".jpg")) and not name.startswith("ort"):  # ONNX Runtime names its documents
            for address in re.findall(r"https?://[^\s\"')]+", (site / name).read_text()):
                assert unquote(address).startswith(("http://www.w3.org/", "http://ns.adobe.com/")), name
    assert "$" not in (site / "index.html").read_text()


@pytest.mark.slow
def test_an_earlier_site_is_replaced_whole(site, package, tmp_path, monkeypatch):
    model = next(site.parent.glob("*.onnx"))
    first = build.build_site(tmp_path / "site", model, package)
    (tmp_path / "site" / "network.old.onnx.gz").write_text("from last year")
    assert build.build_site(tmp_path / "site", model, package) == first
    monkeypatch.chdir(tmp_path / "site")
    with pytest.raises(UsageError, match="name it from outside"):
        build.build_site(Path(), model, package)
    assert (tmp_path / "site" / "index.html").is_file()
    names = {path.name for path in (tmp_path / "site").iterdir()}
    assert names == {path.name for path in site.iterdir()}
    assert all((site / name).read_bytes() == (tmp_path / "site" / name).read_bytes() for name in names)
    assert not list(tmp_path.glob(".tmp*"))


@needs_onnx
@pytest.mark.slow
def test_the_command(package, weights, tmp_path):
    result = command(tmp_path / "site", "--weights", weights, "--runtime", package, "--half")
    assert result.exit_code == 0, result.output
    (network,) = (tmp_path / "site").glob("network.*.gz")
    assert f"network {network.stat().st_size / 1e6:.1f} MB" in result.stdout
    assert '"renderFactor": 6' in (tmp_path / "site" / "build.js").read_text()


def test_the_sources_are_in_the_package():
    "A wheel has what setup.py names."
    setup = (Path(__file__).parents[2] / "setup.py").read_text()
    assert '"web/site/*"' in setup
    assert not [path for path in build.SOURCES.iterdir() if path.is_dir()], "folders would have to be named, too"
