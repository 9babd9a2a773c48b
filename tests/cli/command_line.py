"""What tests of the command line share."""

from frenemy.cli import main


def errors(capsys, *arguments):
    """The one line that a failing command prints."""
    assert main([str(a) for a in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("frenemy: ")
    return line
