"""`avvp reproduce` on a Slurm cluster: a worker a job, and jobs as the queue lets them through.

It takes `pip install dask-jobqueue`, and a checkout on a file system that all machines see. Then,
where you would give `sbatch`: `python examples/on_slurm.py --profile full --device cuda`
"""

import sys

from dask_jobqueue import SLURMCluster

from avvp.cli import main

if __name__ == "__main__":
    with SLURMCluster(
        queue="gpu",
        cores=1,  # so that a worker takes one run at a time
        memory="16GB",
        walltime="04:00:00",
        job_extra_directives=["--gres=gpu:1"],
        # A worker retires before Slurm ends its job; its run goes on elsewhere.
        worker_extra_args=["--lifetime", "230m"],
    ) as cluster:
        cluster.scale(jobs=8)
        cluster.wait_for_workers(1)
        there = [f"--scheduler={cluster.scheduler_address}", "--backend=dask"]
        sys.exit(main(["reproduce", *there, *sys.argv[1:]]))
