"""What stands beside frame AUC and AP in every table: no-look rows, mAP at an overlap, alarms."""

from collections.abc import Mapping
from typing import Any

from jaxvlm.evaluation.detection_map import mean_average_precision
from jaxvlm.evaluation.detection_rules import DetectionRules
from jaxvlm.evaluation.evaluated import Evaluated
from jaxvlm.evaluation.event_metrics import events_found
from jaxvlm.evaluation.no_look import beside_no_look


def beside(
    data: Evaluated,
    rules: DetectionRules,
    options: Mapping[str, Any],
    *,
    normal: str = "videos",
    repeats: int = 1,
) -> dict[str, Any]:
    """``no_look``, ``events_found`` and ``map_iou`` for ``metrics.json``.

    Args:
      options: as in `no_look.beside_no_look`. normal, repeats: as in
        `detection_map.mean_average_precision`.
    """
    return {
        "no_look": beside_no_look(data, options),
        "events_found": events_found(data, rules),
        "map_iou": mean_average_precision(data, rules, normal=normal, repeats=repeats),
    }
