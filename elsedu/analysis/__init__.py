"""What one measures on images: likeness, pieces of a mosaic, medians with intervals."""

from elsedu.analysis.metrics import determination, pearson_r, squared_pearson

__all__ = ["determination", "pearson_r", "squared_pearson"]
