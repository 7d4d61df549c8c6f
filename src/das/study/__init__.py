"""Studies: what is asked for, resolved into runs. Importing the package costs no torch."""

from das.study.load import check, load_study
from das.study.runs import of_method, of_policy, of_study, of_tuning

__all__ = ["check", "load_study", "of_method", "of_policy", "of_study", "of_tuning"]
