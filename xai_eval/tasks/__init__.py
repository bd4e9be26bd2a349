"""Tasks: functions that evaluate explanations. Each is registered by `@task` and returns one Result per case.

Neither importing this package nor reading the parameters of the bundled tasks imports torch, numpy or pandas. For that
reason the modules in `bundled` import the code that computes inside their functions.
"""

from xai_eval.tasks.registry import Results, Task, task
from xai_eval.tasks.sources import all_tasks, find_task, load_task_file, unloadable_entry_points

__all__ = ["Results", "Task", "all_tasks", "find_task", "load_task_file", "task", "unloadable_entry_points"]
