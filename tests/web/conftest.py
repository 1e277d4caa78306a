"Sites that are built here and served by `http.server`, and pages of them in a browser."

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deoldify_lite.modeling.export import STORAGE, describe, trace
from deoldify_lite.web.build import build_site
from deoldify_lite.web.runtime import RuntimeUnavailable, find_runtime
from helpers.browser import DESKTOP, expect, new_pages
from helpers.served import Served, serve
from helpers.shared import shared_folder

RESET = """([name, value]) => {
    const input = document.getElementById(name);
    input.value = value;
    for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind));
}"""


@pytest.fixture(scope="session")
def package() -> Path:
    "ONNX Runtime Web from the npm registry."
    try:
        return find_runtime()
    except RuntimeUnavailable as error:
        pytest.skip(str(error))


def store(model, folder: Path, storage: str) -> Path:
    "A traced network as `export_onnx` would store it, without comparing; tests/test_export.py does. Changes `model`."
    import onnx

    STORAGE[storage][0](model)
    onnx.save(model, folder / f"{storage}.onnx")
    return folder / f"{storage}.onnx"


@pytest.fixture(scope="session")
def site(package, tmp_path_factory) -> Path:
    "A site with a tiny network, which pads as the presets' newer networks do, and gives strong colours."
    import torch

    from deoldify_lite.modeling.generator import build_generator
    from helpers.networks import excited

    def fill(folder: Path) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            generator = build_generator("lite", "test_efficientnet", padding="replicate")
            torch.nn.init.normal_(generator.layers[-1].weight, std=0.2)
        model = trace(excited(generator))
        describe(model, {"working_side": "96"})
        build_site(folder / "site", store(model, folder, "int8"), package)

    return shared_folder(tmp_path_factory, "tiny site", fill) / "site"


@pytest.fixture(scope="session")
def shipped_sites(package, exported_lite, tmp_path_factory) -> dict[str, Path]:
    "Sites with the network that ships, stored as the command does by default and with --half."
    import onnx

    def fill(folder: Path) -> None:
        for storage in ("int8", "float16"):
            build_site(folder / storage, store(onnx.load(exported_lite[0]), folder, storage), package)

    folder = shared_folder(tmp_path_factory, "shipped sites", fill)
    return {storage: folder / storage for storage in ("int8", "float16")}


@contextmanager
def visits(browser, screenshots: Path) -> Iterator[Callable]:
    "What opens a page of a served site and waits for its network. Nothing may break the Content-Security-Policy."
    with new_pages(browser, screenshots) as (new_page, surprises):

        def open_page(served: Served, size=DESKTOP, is_ready: bool = True, **options):
            page = new_page(served.address, size, **options)
            page.on(
                "console", lambda said: surprises.append(said.text) if "Content Security Policy" in said.text else None
            )
            page.goto(served.address)
            if is_ready:
                expect(page.locator("#backend")).not_to_be_empty()
            return page

        yield open_page


@pytest.fixture
def visit(browser, tmp_path) -> Iterator[Callable]:
    with visits(browser, tmp_path) as open_page:
        yield open_page


@pytest.fixture
def served(site) -> Iterator[Served]:
    with serve(site) as served:
        yield served


@pytest.fixture(scope="module")
def shared_page(browser, site, tmp_path_factory) -> Iterator:
    with serve(site) as served, visits(browser, tmp_path_factory.mktemp("screenshots")) as open_page:
        yield open_page(served)


@pytest.fixture
def page(shared_page) -> Iterator:
    "A page of the site with the tiny network, opened once a module, without photos and with the usual settings."
    yield shared_page
    if shared_page.is_visible("#clear"):
        shared_page.click("#clear")
    for name, value in (("format", "same"), ("strength", "1"), ("factor", "6"), ("split", "50")):
        shared_page.evaluate(RESET, [name, value])
