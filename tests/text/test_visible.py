from r1repro.text.visible import visible


def test_characters_that_hide_or_reorder_are_spelled_out():
    assert visible("a\u202eb") == "a⟨U+202E⟩b"
    assert visible("\udcff") == "⟨U+DCFF⟩"
    assert visible("\x00\x1b[31m") == "⟨U+0000⟩⟨U+001B⟩[31m"
    assert visible("over\rwritten \x9b2J") == "over⟨U+000D⟩written ⟨U+009B⟩2J"
    assert visible("two\nlines\tand 中文") == "two\nlines\tand 中文"
