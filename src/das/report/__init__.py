"""A study as one page of HTML, and the captions that it and the workflow's own report have in common."""
