"""Where videos come from: annotations, released features, one HDF5 file, or the simulator."""

from avvp.data.annotations import Annotations, read_annotations
from avvp.data.videos import Batch, Videos

__all__ = ["Annotations", "Batch", "Videos", "read_annotations"]
