"""Normal: how far a 95 % interval reaches by the normal distribution, and how much further by Student's t."""

import math

Z = 1.959964  # standard errors to either side of a 95 % interval


def t_by_normal(v: int) -> float:
    """The 97.5 % point of Student's t with v degrees of freedom, by that of the normal distribution.

    From 3 on by the expansion of Fisher and Cornish (1960), which is right to 0.3 % there.

    >>> round(t_by_normal(4) * Z, 2)
    2.78
    """
    z = Z
    if v == 1:
        return math.tan(0.475 * math.pi) / z
    if v == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2)) / z
    terms = (
        z,
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4),
    )
    return sum(terms) / z
