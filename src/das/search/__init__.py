"""How policies come about: differentiable search, and the control policies it is measured against."""
