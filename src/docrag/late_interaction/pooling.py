"""Hierarchical token pooling: fewer vectors a page, each the mean of similar ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pool_hierarchically(
    vectors: NDArray[np.float32], factor: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pool ``(n, dim)`` unit vectors to at most ``max(n // factor, 1)`` unit vectors.

    Ward clustering of the vectors, then the mean of each cluster, scaled to unit length (Clavié et al. 2024,
    "token pooling"; ColPali paper, section 5). A factor of 1 changes nothing.

    Returns
    -------
    The pooled vectors, in order of the first vector of each cluster, and for each of the `n` vectors the
    index of the pooled one it went into.
    """
    if factor < 1:
        raise ValueError(f"got a pooling factor of {factor}; expected 1 or more")
    n = len(vectors)
    if factor == 1 or n < 2:
        return vectors, np.arange(n)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    # One matrix product gives all distances, at half the time of scipy's own loop over pairs.
    exact = vectors.astype(np.float64)
    squares = (exact**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * (exact @ exact.T)
    np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
    tree = linkage(squareform(distances, checks=False), method="ward")
    clusters = fcluster(tree, t=max(n // factor, 1), criterion="maxclust")
    _, first_places, labels = np.unique(clusters, return_index=True, return_inverse=True)
    order = np.argsort(first_places)
    labels = np.argsort(order)[labels]
    members = np.zeros((len(order), n))
    members[labels, np.arange(n)] = 1
    sums = members @ exact
    # Opposite vectors may cancel out; the sum of nothing has no direction, so any unit vector stands for it.
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    first_members = vectors[first_places[order]]
    pooled = np.where(lengths > 1e-9, sums / np.maximum(lengths, 1e-9), first_members)
    return pooled.astype(np.float32), labels
