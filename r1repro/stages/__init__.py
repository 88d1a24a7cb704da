"""What each stage does, a page each. What runs them is r1repro.runner."""
