"""Problems, the mini world, data sets and prompt templates."""
