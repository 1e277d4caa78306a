"""File names of videos. A module without PyAV, for whoever only looks for them."""

# Of results, with FFmpeg's name of the container.
CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm", ".ts": "mpegts"}
EXTENSIONS = {
    *CONTAINERS,
    *(".avi", ".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".3gp", ".3g2", ".mts", ".m2ts", ".mxf"),
    *(".dv", ".rm", ".rmvb", ".m2v", ".mpv", ".divx", ".nut"),
}
