"""Judges a shift from outside, by public information and by what the world knows to be true."""

from sim.oracle.evidence import Finding
from sim.oracle.judge import judge

__all__ = ["Finding", "judge"]
