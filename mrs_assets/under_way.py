"""Whether the orchestrator has runs that have not ended: who may wait for them asks here."""

import dagster as dg

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def is_under_way(instance: dg.DagsterInstance, job_name: str | None = None) -> bool:
    """Whether a run of a job (of any, where none is named) is waiting or working."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED), limit=1))
