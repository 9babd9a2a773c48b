"""The one kind of error that is meant to be read by a person."""


class FrenemyError(Exception):
    """Bad input or a failed operation, told in one line: what, where, and what to do.

    The command line prints the message without a traceback and exits with status 1.
    """
