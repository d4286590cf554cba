"""What is told to a person instead of a traceback."""


class InputError(ValueError):
    """Something a person gave cannot be used.

    The message is one clear sentence or two: what came, what was expected, what to do. The command
    line prints it on one line and ends with code 2; the plugin shows it as a notification.
    """
