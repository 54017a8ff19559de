"""Mutation testing of what decides: small changes of the source, drawn by seed, each of which the
tests must notice.

`drawing` draws them with cosmic-ray, in an environment of its own; `covering` knows which tests go
through a function; `verdicts` runs these tests on each mutant. What survives is explained in
`tests/mutants/equivalent.toml`, or fails.
"""
