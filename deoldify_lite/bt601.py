"""The numbers behind luma and chroma (ITU-R BT.601, full range, as in JPEG): the one place for them.

    Y  =  0.299 R + 0.587 G + 0.114 B
    Cb = (B - Y) / 1.772            Cr = (R - Y) / 1.402

with R, G, B and Y in [0, 1] and Cb, Cr in [-0.5, 0.5]. The transform is linear, so a picture is its luma plus a
linear function of its chroma: a network that predicts chroma alone cannot damage the luma.
"""

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
CB_SCALE, CR_SCALE = 1.772, 1.402

# What one unit of Cb and of Cr adds to R, G and B at constant luma.
CHROMA_TO_RGB = (
    (0.0, CR_SCALE),
    (-LUMA_WEIGHTS[2] * CB_SCALE / LUMA_WEIGHTS[1], -LUMA_WEIGHTS[0] * CR_SCALE / LUMA_WEIGHTS[1]),
    (CB_SCALE, 0.0),
)
