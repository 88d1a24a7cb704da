"""What the notebooks in notebooks/lab/ compute: arguments behind R1, exactly and by hand."""
