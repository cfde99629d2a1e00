"""Triangles between directions that cover the sphere, and where in which of them a direction lies.

The triangles are the faces of the convex hull of unit vectors. In one with corners v1, v2, v3 a direction is d = w1 v1
+ w2 v2 + w3 v3 with weights that are not negative, w = (v1 v2 v3)^-1 d (Pulkki, "Virtual sound source positioning
using vector base amplitude panning", JAES 45, 1997); scaled to a sum of 1 they are continuous over the sphere.
"""

from __future__ import annotations

import numpy as np

_FLAT = 1e-9


class Triangles:
    """Triangles over the sphere.

    Args:
        vectors: unit vectors (direction, xyz), in no half of space alone.

    Attributes:
        rows: corners as rows of ``vectors`` (triangle, 3).

    Raises:
        ValueError: the directions lie on one plane.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        from scipy.spatial import ConvexHull, QhullError  # late: only who renders spheres needs it

        try:
            rows = ConvexHull(vectors).simplices
        except QhullError as error:
            raise ValueError("the directions lie on one plane") from error
        self._vectors = vectors
        self.rows = rows[np.abs(np.linalg.det(vectors[rows])) > _FLAT]
        # Columns are corners: d = M w, w = M^-1 d.
        self._inverses = np.linalg.inv(vectors[self.rows].transpose(0, 2, 1))

    def corners(self, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Directions around each direction, rows (place, 3), and their weights (place, 3), with sum 1.

        Args:
            direction: unit vectors (place, xyz).
        """
        # Weights are found one by one: those of a matrix product may depend on what else is asked for.
        first, second, third = (direction @ self._inverses[:, corner].T for corner in range(3))
        best = np.argmax(np.minimum(np.minimum(first, second), third), axis=1)
        weights = np.maximum((self._inverses[best] * direction[:, None, :]).sum(axis=2), 0.0)
        return self.rows[best], weights / weights.sum(axis=1, keepdims=True)

    def areas(self) -> np.ndarray:
        """A third of the flat area of all triangles around each direction, (direction)."""
        corners = self._vectors[self.rows]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        thirds = np.sqrt(np.square(across).sum(axis=1)) / 6
        return np.bincount(self.rows.ravel(), np.repeat(thirds, 3), len(self._vectors))

    def longest_side_deg(self, below: int) -> float:
        """Longest side between the first ``below`` directions, degrees."""
        rows = self.rows
        sides = np.stack([rows[:, [0, 1]], rows[:, [1, 2]], rows[:, [2, 0]]]).reshape(-1, 2)
        sides = sides[(sides < below).all(axis=1)]
        cosine = np.einsum("sd,sd->s", self._vectors[sides[:, 0]], self._vectors[sides[:, 1]])
        return float(np.degrees(np.arccos(np.clip(cosine.min(), -1, 1))))
