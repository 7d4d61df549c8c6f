"""The policy benchmark: which search finds good policies?

A bank of policies is retrained from scratch on a small fixed budget. Each search of the study is then measured on it:
how well its score of a policy agrees in rank with the retrained accuracy, how much worse than the best policy the one
that it chooses is, and how much its choice depends on the seed. All of it happens on the training images: a part of
them is held out, on which the retrained networks are scored, and neither searches nor the test set see it.
"""
