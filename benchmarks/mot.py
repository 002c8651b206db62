"""Tracks against truth: CLEAR, identity and HOTA, computed by the trackers library on boxes we prepare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.truth import FloatArray, TruthFrame, iou_matrix

MATCH_IOU = 0.5

Predictions = Mapping[int, Sequence[tuple[int, tuple[float, float, float, float]]]]
"""Frame index from 0 -> (track id, box in source pixels) of every track present."""


def score_tracks(truth: Sequence[TruthFrame], predictions: Predictions) -> dict[str, float]:
    """MOTA, IDF1, HOTA, recall, precision, id switches and fragmentations of `predictions`.

    A predicted box that matches a row nobody asks for (`evaluate` 0) at IoU >= 0.5, and no row that is asked for, is
    dropped before scoring; rows nobody asks for are dropped too.
    """
    from trackers.eval.clear import compute_clear_metrics
    from trackers.eval.hota import compute_hota_metrics
    from trackers.eval.identity import compute_identity_metrics

    gt_ids, track_ids, similarity = [], [], []
    for index, frame in enumerate(truth):
        present = predictions.get(index, ())
        boxes = np.array([box for _, box in present], dtype=np.float64).reshape(-1, 4)
        keep = _worth_scoring(frame, boxes)
        gt_ids.append(frame.ids[frame.evaluate])
        track_ids.append(np.array([track_id for track_id, _ in present], dtype=np.int64)[keep])
        similarity.append(iou_matrix(frame.boxes[frame.evaluate], boxes[keep]))
    gt_ids, track_ids = _dense(gt_ids), _dense(track_ids)
    clear: dict[str, Any] = compute_clear_metrics(gt_ids, track_ids, similarity, MATCH_IOU)
    identity: dict[str, Any] = compute_identity_metrics(gt_ids, track_ids, similarity, MATCH_IOU)
    hota: dict[str, Any] = compute_hota_metrics(gt_ids, track_ids, similarity)
    return {
        "MOTA": float(clear["MOTA"]),
        "IDF1": float(identity["IDF1"]),
        "HOTA": float(hota["HOTA"]),
        "recall": float(clear["CLR_Re"]),
        "precision": float(clear["CLR_Pr"]),
        "MOTP": float(clear["MOTP"]),
        "id_switches": float(clear["IDSW"]),
        "fragmentations": float(clear["Frag"]),
        "false_positives": float(clear["CLR_FP"]),
        "misses": float(clear["CLR_FN"]),
    }


def _worth_scoring(frame: TruthFrame, boxes: FloatArray) -> np.ndarray:
    if len(boxes) == 0:
        return np.zeros(0, dtype=bool)
    overlap = iou_matrix(frame.boxes, boxes) >= MATCH_IOU
    asked = overlap[frame.evaluate].any(axis=0)
    not_asked = overlap[~frame.evaluate].any(axis=0)
    return np.asarray(asked | ~not_asked)


def _dense(ids: list[np.ndarray]) -> list[np.ndarray]:
    """Ids renumbered from 0: the metrics index arrays by them."""
    names = {name: k for k, name in enumerate(sorted({int(i) for frame in ids for i in frame}))}
    return [np.array([names[int(i)] for i in frame], dtype=np.int64) for frame in ids]
