"""The one exception that carries a sentence for the person at the keyboard."""


class AvvpError(ValueError):
    """Bad input, said in one sentence: which file, row or array; what was expected; what to do.

    The command line prints the sentence on stderr and exits with status 2. It is a ``ValueError``,
    so that code which imports ``avvp`` can catch it without knowing this class.
    """
