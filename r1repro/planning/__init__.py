"""Before a run: what each stage will do and cost, and whether this machine can."""
