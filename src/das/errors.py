"""Errors that a user can act on. The command line prints them as one line, without a traceback."""


class DasError(Exception):
    """Bad input: the message names the key or file, the value found, and what would be right."""
