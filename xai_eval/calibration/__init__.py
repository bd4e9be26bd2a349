"""How far benign changes move an explanation: tasks run again under each, held against the plain run."""

from xai_eval.calibration.conditions import CONDITIONS, Condition
from xai_eval.calibration.measure import Calibration, calibrate, calibrate_task

__all__ = ["CONDITIONS", "Calibration", "Condition", "calibrate", "calibrate_task"]
