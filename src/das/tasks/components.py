"""The tasks.

Facts: ``dense``, whether labels are maps; ``metric``, the key of the score that counts, and ``score``, its name;
``consensus``, how frames' predictions become one by default; ``tables``, by name, and ``write_tables``, what writes
them; the files of ``published`` numbers that they quote.
"""

from das.study.registry import Entry

COMPONENTS = [
    Entry(
        "task",
        "classification",
        "das.tasks.classification:DasModel",
        "one label an image",
        facts={
            "dense": False,
            "metric": "accuracy",
            "score": "accuracy",
            "consensus": "mean_logits",
            "tables": ("accuracy", "published", "search", "search_cost", "cost"),
            "write_tables": "das.analysis.tables:write_tables",
            "published": ("data/published/published_numbers.csv", "data/published/das_paper.csv"),
        },
    ),
    Entry(
        "task",
        "segmentation",
        "das.tasks.segmentation:SegmentationModel",
        "one label a pixel",
        facts={
            "dense": True,
            "metric": "miou",
            "score": "mIoU",
            "consensus": "aligned_mean",
            "tables": ("segmentation", "search"),
            "write_tables": "das.analysis.segmentation:write_tables",
        },
    ),
]
