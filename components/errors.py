"""The error that a user can cause, and mend."""


class UserError(Exception):
    """What was wrong, where (file, line, key), what was expected, and what to do, in one line.

    Whoever runs the pipeline shows this text alone, without a traceback, and exits with a code other than 0.
    """
