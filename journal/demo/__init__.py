"""`journal demo`: the promise, kept before your eyes on servers of its own."""

from journal.demo.proofs import Proof
from journal.demo.relay_process import DemoError
from journal.demo.story import Audience, Ending, play, raise_curtain

__all__ = ["Audience", "DemoError", "Ending", "Proof", "play", "raise_curtain"]
