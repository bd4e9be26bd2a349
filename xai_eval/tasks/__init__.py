"""Tasks: one evaluation function per file, registered by `@task`: inputs in, one Result per case out.

Importing this package imports no torch, no numpy and no pandas, and neither does reading the parameters of the bundled
tasks: the files that register them import what computes inside the function.
"""

from xai_eval.tasks.registry import Results, Task, task
from xai_eval.tasks.sources import all_tasks, find_task, load_task_file, unloadable_entry_points

__all__ = ["Results", "Task", "all_tasks", "find_task", "load_task_file", "task", "unloadable_entry_points"]
