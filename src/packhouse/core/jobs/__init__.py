"""Jobs: work that outlives a request, kept in a table of the catalogue's database and run by any worker.

Five verbs: `submit`, `cancel`, `progress`, `list_jobs`, and `next_time` for schedules; `hold` keeps a job as it is. A
`Worker` runs jobs by the handlers it is given; a `Timetable` does the recurring duties of the installation. This
package knows only names: which jobs there are is declared in `workflows`.
"""

from packhouse.core.jobs.job import Cancelled, Job, LostLease, RunEnded, Stopping
from packhouse.core.jobs.periodic import Periodic, Timetable
from packhouse.core.jobs.running import Handler, RunningJob
from packhouse.core.jobs.schedule import next_time, validate
from packhouse.core.jobs.store import cancel, forget, hold, list_jobs, progress, submit
from packhouse.core.jobs.worker import Worker

__all__ = [
    "Cancelled", "Handler", "Job", "LostLease", "Periodic", "RunEnded", "RunningJob", "Stopping", "Timetable",
    "Worker", "cancel", "forget", "hold", "list_jobs", "next_time", "progress", "submit", "validate",
]  # fmt: skip
