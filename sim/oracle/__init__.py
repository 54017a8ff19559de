"""Judges a shift from outside: public information, and what the world knows to be true."""

from sim.oracle.evidence import Finding
from sim.oracle.judge import judge

__all__ = ["Finding", "judge"]
