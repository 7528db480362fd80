"""Intervals from their definition: scikit-learn with sample weights, differences, loops."""

import math

import numpy as np
from scipy import stats
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

STEP = 1e-3


def areas(scores, labels, weights, *, trapezoid):
    """AUC and AP of weighed frames."""
    area = roc_auc_score(labels, scores, sample_weight=weights)
    if not trapezoid:
        return np.array([area, average_precision_score(labels, scores, sample_weight=weights)])
    precision, recall, _ = precision_recall_curve(labels, scores, sample_weight=weights)
    return np.array([area, auc(recall, precision)])


def influences(metrics, units):
    """[M, U] the derivative of metrics(weights) by the weight of each unit, a central difference.

    units: [T] the number of every frame's unit.
    """
    found = []
    for unit in np.unique(units):
        high, low = (metrics(1 + sign * STEP * (units == unit)) for sign in (1, -1))
        found.append((high - low) / (2 * STEP))
    return np.transpose(found)


def error_and_freedom(influence, resampled, kinds):
    """The standard error and the degrees of freedom, term by term."""
    total = doubt = 0.0
    names = sorted(set(kinds))
    for kind in names:
        own = [u for u, k in zip(influence, kinds, strict=True) if k == kind]
        n = len(own)
        mean = sum(own) / n
        variance = sum((u - mean) ** 2 for u in own) / (n - 1)
        fourth = sum((u - mean) ** 4 for u in own) / n
        of_variance = max((fourth - variance**2 * (n - 3) / (n - 1)) / n, 2 * variance**2 / (n - 1))
        total += n * variance
        doubt += n * n * of_variance
    n = len(kinds)
    drawn = math.sqrt(np.var(resampled) * n / (n - len(names)))
    return max(math.sqrt(total), drawn), max(total**2 / doubt, 3.0)


def logit_interval(value, influence, resampled, kinds, level):
    error, freedom = error_and_freedom(influence, resampled, kinds)
    step = stats.t.ppf(0.5 + level / 2, freedom) * error / (value * (1 - value))
    logits = [math.log(value / (1 - value)) + sign * step for sign in (-1, 1)]
    return [1 / (1 + math.exp(-x)) for x in logits]


def plain_interval(value, influence, resampled, kinds, level):
    error, freedom = error_and_freedom(influence, resampled, kinds)
    step = stats.t.ppf(0.5 + level / 2, freedom) * error
    return [value - step, value + step]


def expanded_percentiles(resampled, kinds, level):
    counts = [list(kinds).count(kind) for kind in set(kinds)]
    n, m = len(kinds), len(counts)
    student = stats.t.ppf(0.5 + level / 2, min(counts) - 1)
    tail = stats.norm.cdf(-student * math.sqrt(n / (n - m)))
    return np.quantile(resampled, [tail, 1 - tail])
