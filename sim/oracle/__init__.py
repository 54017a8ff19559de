"""Judges a shift from outside: public information, and what the world knows to be true."""

from sim.oracle.judgement import judge
from sim.oracle.record import Finding

__all__ = ["Finding", "judge"]
