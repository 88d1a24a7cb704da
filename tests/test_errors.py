from r1repro.errors import LISTED, offered


def test_few_names_are_listed_and_of_many_the_nearest():
    few = ["first", "second"]
    assert offered("frist", few, "`ls` lists") == "first, second"
    many = [f"name_{i}" for i in range(LISTED)] + ["r1_zero"]
    told = offered("r1zero", many, "`ls` lists")
    assert told.startswith("r1_zero, ") and told.count(", ") == 2
    assert told.endswith(f" and others (`ls` lists all {LISTED + 1})")
