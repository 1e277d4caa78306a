"""DeOldify itself in a process of its own, which `deoldify` starts and asks for one photo at a time.

python deoldify_child.py CHECKOUT WEIGHTS.pth DEVICE THREADS

Lines of JSON come in, {"photo", "render_factor", "save"}; each is answered with one, {"seconds"}. No module of this
package is imported, and the fastai is the one that the checkout brings along.
"""

import json
import os
import sys
import time
import types
from pathlib import Path


def main() -> None:
    checkout, weights, device, threads = sys.argv[1:]
    sys.path[0] = checkout  # in place of this file's folder
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # DeOldify logs to standard output

    def answer(**said) -> None:
        print(json.dumps(said), file=answers, flush=True)

    try:
        colorizer = load(Path(weights), device, int(threads))
    except ModuleNotFoundError as error:
        answer(missing=error.name)
        return
    answer(ready=True)
    from PIL import Image

    for line in sys.stdin:
        wanted = json.loads(line)
        began = time.perf_counter()
        with Image.open(wanted["photo"]) as file:
            photo = file.convert("RGB")
        colour = colorizer.filter(photo, photo, wanted["render_factor"])
        seconds = time.perf_counter() - began
        if wanted["save"]:
            colour.save(wanted["save"])
        answer(seconds=seconds)


def load(weights: Path, device: str, threads: int):
    "DeOldify's colorizing filter around its artistic generator, with the weights in the file or, for want of one, new."
    import_despite_today()
    from deoldify import device as its_device
    from deoldify.device_id import DeviceId

    its_device.set(DeviceId.GPU0 if device == "cuda" else DeviceId.CPU)  # before anything loads torch

    # Not by way of `deoldify.visualize`, which does the same and wants ffmpeg, yt_dlp and IPython for videos.
    import cv2
    import torch
    from deoldify.filters import ColorizerFilter, MasterFilter
    from deoldify.generators import gen_learner_deep, get_dummy_databunch
    from torchvision.models import resnet34

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    torch.manual_seed(0)

    def encoder(pretrained: bool):
        return resnet34()  # its weights come from the file; ImageNet's would be fetched for nothing

    learner = gen_learner_deep(get_dummy_databunch(), torch.nn.functional.l1_loss, arch=encoder)
    generator = learner.model
    if weights.exists():
        state = torch.load(weights, map_location="cpu", weights_only=True)
        generator.load_state_dict(state.get("model", state))
    else:
        settle(generator)
        torch.save(generator.state_dict(), weights)
    generator.eval()
    return MasterFilter([ColorizerFilter(learner)], render_factor=35)


def import_despite_today() -> None:
    "What has gone from Python's libraries since, and what DeOldify's fastai still asks for when it is imported."
    try:
        import pkg_resources  # noqa: F401
    except ModuleNotFoundError:
        # Setuptools 82 took it away. All that is wanted of it is to check fastprogress's version.
        stand_in = types.ModuleType("pkg_resources")
        stand_in.require = lambda *requirements: []
        sys.modules["pkg_resources"] = stand_in


def settle(generator) -> None:
    "Some untrained steps: spectral norm finds its vectors, BatchNorm its statistics, or all would overflow."
    import torch

    with torch.no_grad():
        generator.train()
        for _ in range(8):
            generator(torch.randn(2, 3, 64, 64, device=next(generator.parameters()).device))
        for name, parameter in generator.named_parameters():
            if name.endswith(".gamma"):
                parameter.fill_(0.5)  # attention starts switched off, which would leave it out of the comparison


if __name__ == "__main__":
    main()
