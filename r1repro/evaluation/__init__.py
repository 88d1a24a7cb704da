"""What came out: rows of an evaluation, the measures over them and their uncertainty."""
