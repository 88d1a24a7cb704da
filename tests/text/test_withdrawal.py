import time

import pytest

from r1repro.text.withdrawal import reconsiders


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("3+4=8\nwait, 3+4=7", True),
        ("3+4=8. No, wrong: 3+4=7", True),
        ("8+6=14\n14-13=1，不对\n8-6=2\n6+2=8，对", True),
        ("8+6=14\n等等，8+6=14", True),
        ("3+4=7, no\n3*4=12, no\n12-1=11, yes", True),
        ("3+4=7, no", False),  # withdrawn, nothing follows
        ("3+4=7\nnow 7*2=14", False),  # "now" is not a rejection
        ("3+4=7\nnothing else: 7*2=14", False),
        ("wait, 3+4=7", False),  # nothing was stated before
        ("no, 不对, wrong", False),
        ("", False),
    ],
)
def test_a_result_that_is_taken_back(text, again):
    assert reconsiders(text) == again


@pytest.mark.parametrize(
    "text", ["=1" * 50_000, "=1 " + " " * 100_000, "=1,\n" * 30_000, "1" * 100_000]
)
def test_no_text_takes_long(text):
    started = time.process_time()
    reconsiders(text)
    assert time.process_time() - started < 2
