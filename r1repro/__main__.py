"""`python -m r1repro`: the command."""

from r1repro.cli import command

command()
