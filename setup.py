from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = next(
    line.split('"')[1]
    for line in (here / "deoldify_lite/__init__.py").read_text().splitlines()
    if line.startswith("__version__")
)

extras = {
    "app": ["gradio"],
    "evaluate": ["torch-fidelity"],
    "export": ["onnx", "onnxscript", "onnxruntime"],
    "faces": ["av", "opencv-python-headless<5"],
    # Plain scenedetect would bring an OpenCV with windows, of another version.
    "video": ["av>=17", "scenedetect-headless>=0.7", "opencv-python-headless<5"],
    "heic": ["pillow-heif"],
    "jxl": ["pillow-jxl-plugin"],
    "pdf": ["pypdfium2>=5.15"],
    "raw": ["rawpy"],
    "notebooks": ["jupyterlab", "ipywidgets", "nbclient", "ipykernel", "tensorboard"],
    "distributed": ["accelerate"],
    "ray": ["ray[data]"],
}
test = [
    *("pytest", "pytest-xdist", "filelock", "hypothesis", "ruff"),
    *("lpips", "scikit-image"),  # to compare with
    *("playwright", "axe-playwright-python"),  # drives the browser of the system; checks accessibility in it
    *sorted({package for packages in extras.values() for package in packages} - {"jupyterlab"}),
]

setup(
    name="deoldify_lite",
    version=version,
    description="Colour for black-and-white photographs, and the NoGAN training of such colorizers",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["deoldify_lite", "deoldify_lite.*"]),
    package_data={"deoldify_lite": ["weights/*.safetensors", "evaluate/*.jinja", "web/site/*", "app/*.js"]},
    install_requires=[
        "fastai>=2.8.12",
        "torch",
        "torchvision",
        "timm",
        "tensorboardX",
        "psutil",
        "pillow>=11.3",  # with AVIF
        "safetensors",
        "tqdm",
        "numpy",
        "scipy",
        "pyyaml",
        "matplotlib",
        "torchmetrics",
        "rich",
        "typer",
        "jinja2",
    ],
    extras_require=extras | {"test": test},
    entry_points={"console_scripts": ["deoldify-lite = deoldify_lite.cli:main"]},
)
