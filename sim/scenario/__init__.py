"""Written shifts: sentences with times, played on a camera, and expectations explained when they
fail (`docs/scenarios.md`)."""
