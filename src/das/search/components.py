"""The relaxations and selections that searches name. Facts of a relaxation: ``learns``, whether alpha moves; of a
selection: ``needs``, the settings it asks for; ``reads_alpha``; ``mixture``, whether it needs that relaxation; and
``figure``, the one that shows its searches."""

from das.study.registry import Entry

_R, _S = "das.search.relaxation", "das.search.selection"

COMPONENTS = [
    Entry("relaxation", "mixture", f"{_R}:mixture", "the weighted mixture of all candidates (DARTS)"),
    Entry("relaxation", "gumbel", f"{_R}:gumbel", "a policy drawn around alpha, straight-through gradient (GDAS)"),
    Entry(
        "relaxation", "path", f"{_R}:path", "a policy drawn evenly; weights alone are trained", facts={"learns": False}
    ),
    Entry("selection", "argmax", f"{_S}:argmax", "the strongest operations and edges", facts={"needs": ()}),
    Entry(
        "selection",
        "perturbation",
        f"{_S}:perturbation",
        "what costs most to remove (darts-pt)",
        facts={"needs": ("tune_epochs",), "mixture": True},
    ),
    Entry(
        "selection",
        "tournament",
        f"{_S}:tournament",
        "a knock-out of policies by held-out loss",
        facts={"needs": ("tune_epochs", "entrants"), "reads_alpha": False, "figure": "tournaments"},
    ),
]
