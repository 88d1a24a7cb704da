"""How a graph of stages runs: what is there, what is built, and by which processes."""
