"""Where videos come from: annotations, released features, one HDF5 file, or the simulator."""

from avvp.data.videos import Batch, Videos

__all__ = ["Batch", "Videos"]
