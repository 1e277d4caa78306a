"""Puts the site together: the sources in `site/`, ONNX Runtime Web, an exported network, and `build.js` about them.

What is large is stored with gzip, which the page undoes itself, since many hosts compress nothing. Its file name has
a part of its hash, so that caches never serve an old one.
"""

import gzip
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template

from .. import __version__
from ..bt601 import CHROMA_TO_RGB, LUMA_WEIGHTS
from ..colorize.engine import LONGEST
from ..errors import UsageError
from ..files import UMASK
from ..limits import MAX_PIXELS
from ..modeling.generator import STRIDE
from ..photo.reading import TINTED
from ..photo.writing import OPTIONS
from ..samples import write_samples
from .runtime import BACKENDS, read_runtime

SOURCES = Path(__file__).parent / "site"
MARK = "build.js"  # by which, and by its first line, a folder is known as a site of ours
FIRST_LINE = "// What the site is made of. Written by deoldify-lite web."
SAMPLE = "grace_hopper.jpg"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; style-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Sizes:
    "Bytes: of the page with its scripts, of what runs the network by WebAssembly or on a GPU, and of the network."

    page: int
    wasm: int
    webgpu: int
    model: int


def build_site(target: Path, model: Path, package: Path) -> Sizes:
    """Write the site to the folder `target`; an earlier one there is replaced.

    Args:
        model: an ONNX file of `export_onnx`, with its metadata.
        package: ONNX Runtime Web as `find_runtime` gives it.

    Raises:
        UsageError: `target` is a file, or a folder with other things in it.
        OSError: it cannot be written.
    """
    target = Path(target).resolve()
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".tmp-deoldify-"))
    try:
        sizes = fill(scratch, model.read_bytes(), render_factor(model), read_runtime(package))
        scratch.chmod(0o777 & ~UMASK)
        if target.exists():
            shutil.rmtree(target)
        scratch.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return sizes


def check_target(target: Path) -> None:
    if target.resolve() == Path.cwd():
        raise UsageError(f"{target} is the folder that you are in, which is made anew: name it from outside")
    if target.exists() and not (target.is_dir() and (_is_site(target) or not any(target.iterdir()))):
        raise UsageError(f"{target}: is there already and is no site of this command; name another folder")
    if (target / ".git").exists():
        raise UsageError(
            f"{target}: is a repository, which would be deleted; name another folder, and copy the site here"
        )


def _is_site(folder: Path) -> bool:
    try:
        with (folder / MARK).open("rb") as file:
            return file.readline().strip() == FIRST_LINE.encode()
    except OSError:
        return False


def render_factor(model: Path) -> int:
    "The default of an exported network."
    import onnx

    about = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    return int(about["working_side"]) // 16


def fill(folder: Path, model: bytes, factor: int, runtime: dict[str, bytes]) -> Sizes:
    "Write all files into an empty folder."
    for source in sorted(SOURCES.iterdir()):
        data = source.read_bytes()
        if source.name == "index.html":
            data = Template(data.decode()).substitute(policy=POLICY, version=__version__).encode()
        (folder / source.name).write_bytes(data)
    sample = SAMPLE if write_sample(folder / SAMPLE) else None
    about = {
        "engine": {
            "renderFactor": factor,
            "stride": STRIDE,
            "longest": LONGEST,
            "maxPixels": MAX_PIXELS,
            "lumaWeights": LUMA_WEIGHTS,
            "chromaToRgb": CHROMA_TO_RGB,
            "tinted": TINTED,
            "jpegQuality": OPTIONS["JPEG"]["quality"],
        },
        "model": store(folder, "network.onnx", model),
        "runtimes": {name: store_backend(folder, runtime, *parts) for name, parts in BACKENDS.items()},
        "sample": sample,
        "policy": POLICY,
    }
    about["large"] = sorted(path.name for path in folder.glob("*.gz"))
    shell = sorted(path.name for path in folder.iterdir() if path.suffix != ".gz")
    about["shell"] = sorted([*shell, MARK])
    contents = "".join(hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in shell)
    about["version"] = hashlib.sha256((contents + json.dumps(about)).encode()).hexdigest()[:12]
    (folder / MARK).write_text(f"{FIRST_LINE}\nself.BUILD = {json.dumps(about)};\n")
    return measure(folder, about)


def write_sample(path: Path) -> bool:
    "A photo to try, if there is one on this machine."
    with tempfile.TemporaryDirectory() as scratch:
        found = next((sample for sample in write_samples(Path(scratch)) if sample.name == path.name), None)
        if found:
            shutil.copy(found, path)
    return path.exists()


def store(folder: Path, name: str, data: bytes) -> dict:
    "Write a large file, compressed. Returns its name, its bytes on the way, and the hash of its content."
    digest = hashlib.sha256(data).hexdigest()
    compressed = gzip.compress(data, mtime=0)
    path = folder / f"{Path(name).stem}.{digest[:8]}{Path(name).suffix}.gz"
    path.write_bytes(compressed)
    return {"file": path.name, "bytes": len(compressed), "sha256": digest}


def store_backend(folder: Path, runtime: dict[str, bytes], script: str, program: str) -> dict:
    names = {}
    for role, name in (("script", script), ("glue", f"{program}.mjs")):
        digest = hashlib.sha256(runtime[name]).hexdigest()
        names[role] = f"{name.removesuffix('.mjs')}.{digest[:8]}.js"  # not every host knows .mjs
        (folder / names[role]).write_bytes(runtime[name])
    return names | {"binary": store(folder, f"{program}.wasm", runtime[f"{program}.wasm"])}


def measure(folder: Path, about: dict) -> Sizes:
    def size(*names: str) -> int:
        return sum((folder / name).stat().st_size for name in names)

    backends = {name: size(parts["binary"]["file"]) for name, parts in about["runtimes"].items()}
    return Sizes(page=size(*about["shell"]), model=size(about["model"]["file"]), **backends)
