"""Image sets: the training images that every machine is made of (notation page; used in every chapter).

>>> import elsedu
>>> digits = elsedu.load("digits")
>>> digits.images.shape, float(digits.images.min()), float(digits.images.max())
(torch.Size([1797, 1, 8, 8]), -1.0, 1.0)

A reader finds here, one file each: `imageset` (what a set is), `catalogue` (which sets there are),
`loading` (folders, subsets), `embedded` (sets that need no file), `formats` (the readers
of the official files), `pixels` (bytes, values, resizing, hash), `download` (addresses and checksums),
`verification` and `cache`.
"""

from elsedu.data.catalogue import SOURCES
from elsedu.data.download import fetch
from elsedu.data.imageset import ImageSet
from elsedu.data.loading import here, load
from elsedu.data.pixels import resize, to_bytes, to_values
from elsedu.data.verification import FileCheck, verify

__all__ = ["SOURCES", "FileCheck", "ImageSet", "fetch", "here", "load", "resize", "to_bytes", "to_values", "verify"]
