"""The command `journal`: results on stdout, talk on stderr, exit codes that mean something."""

from journal.cli.app import main

__all__ = ["main"]
