"""Sound that no container of ours holds, as that of WMV files: decoded, and encoded as FLAC."""

from collections.abc import Iterator
from fractions import Fraction

import av

from .containers import add_flac

GAP = 0.1  # seconds without sound from which the result has them, too


class Sound:
    "A stream of sound: packets of the original in, packets of the result out."

    def __init__(self, original: av.audio.stream.AudioStream, result: av.container.OutputContainer):
        self.decoder, self.stream = original.codec_context, add_flac(result, original)
        self.resampler = self.following = None  # the time of the next sample, in samples

    def encode(self, packet: av.Packet | None) -> list[av.Packet]:
        "What a packet, or None for the end, brings out of the encoder; what cannot be decoded is left out."
        if packet is None and self.resampler is None:
            return []  # there was none
        try:
            decoded = packet.decode() if packet else [*self.decoder.decode(None), None]
        except av.FFmpegError:
            return []
        if self.resampler is None:
            context = self.stream.codec_context
            context.open(strict=False)  # only then is the size of its frames known
            self.resampler = av.AudioResampler(context.format, context.layout, context.rate, context.frame_size or None)
        made = [each for frame in decoded for part in self._resampled(frame) for each in self.stream.encode(part)]
        return made if packet else made + self.stream.encode(None)

    def _resampled(self, frame: av.AudioFrame | None) -> Iterator[av.AudioFrame]:
        "Frames of the encoder's size that follow one another, but where the original has a gap."
        rate = self.stream.codec_context.rate
        if frame is not None and frame.pts is not None:
            time = round(frame.pts * frame.time_base * rate)
            if self.following is None or time - self.following > GAP * rate:
                self.following = time
            frame.pts = None  # a packet may hold several frames, of which one has a time
        for part in self.resampler.resample(frame):
            part.pts, part.time_base = self.following or 0, Fraction(1, rate)
            self.following = part.pts + part.samples
            yield part
