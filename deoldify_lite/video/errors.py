"What can go wrong with a video. Each message is one sentence for the person at the keyboard."

from ..errors import DeoldifyError, Unavailable, UsageError

INSTALL = 'videos need PyAV, PySceneDetect and OpenCV: pip install "deoldify_lite[video]"'


class BadVideo(DeoldifyError, ValueError):
    "A video that cannot be used, or a result that cannot be written. The message says why."


class BadVideoRequest(UsageError):
    "Options that make no sense for this video or this container."


class NoEncoder(Unavailable):
    "A codec that this FFmpeg cannot write, or not with these pictures."
