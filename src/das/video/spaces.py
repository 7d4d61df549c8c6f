"""Search spaces: the operations among which an edge chooses. Importing this costs no torch.

AFFINE5 and COMPOUND are casarinsof/TRAS's, the newest and an earlier generation (there with pooling, here without).
"""

from itertools import combinations

MOVES = ("translate_x", "translate_y", "zoom", "rotate")
SHEARS = ("shear_x", "shear_y")
COLORS = (
    *("brightness", "contrast", "saturation", "sharpness", "solarize", "posterize", "invert"),
    *("autocontrast", "equalize"),
)
#: Moves one after the other as a single affine map: one interpolation, one rule at the border.
COMPOUNDS = tuple("+".join(parts) for size in (2, 3) for parts in combinations(MOVES, size))

AFFINE5 = ("identity", *MOVES)
AFFINE7 = ("identity", *MOVES, *SHEARS)
COMPOUND = (*MOVES, *COMPOUNDS)
FULL = ("identity", *MOVES, *SHEARS, *COLORS)
