"""Add to finished runs the arrays that a later version of :mod:`avvp.scored` keeps.

Nothing is trained: the weights that a run selected predict the test split once more. That counts
only if the ten numbers come out as they were recorded, to the last digit.
"""

from pathlib import Path

from avvp.errors import AvvpError
from avvp.experiments import predict_again
from avvp.results import RUNS, read_arrays, read_run, write_arrays
from avvp.scored import scored


def complete(
    path: Path, *, data: str = "sim", device: str = "auto", runs: Path = RUNS
) -> list[str]:
    """Add the arrays that a run lacks; its JSON and the arrays that it has stay as they are.

    Args:
        path: of the run's JSON, in ``runs`` or in a folder of published runs.
        data: ``"sim"`` or the HDF5 file that it was made on.
        device: see :func:`avvp.devices.choose_device`.
        runs: where the weights are; they are only read.

    Returns:
        the names of the arrays that were added.

    Raises:
        AvvpError: the weights are missing, the run is stale, or it is predicted differently today.
    """
    done, arrays = read_run(path), read_arrays(path)
    again = predict_again(done, arrays, data=data, device=device, runs=runs)
    evaluation, found = scored(
        again.parsing, again.videos, threshold=again.thresholds, gate=again.gate
    )
    for name, score in evaluation.ten().items():
        if score != done.metrics.get(name):
            raise AvvpError(
                f"{path} says {name} {done.metrics.get(name)} and its weights score {score} here; "
                f"complete it where it was made ({done.device}, PyTorch {done.versions['torch']})."
            )
    missing = {name: array for name, array in found.items() if name not in arrays}
    if missing:
        write_arrays(path, arrays | missing)
    return list(missing)
