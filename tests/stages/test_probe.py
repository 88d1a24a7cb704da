"""The probe trains for real, and briefly."""

from r1repro.stages import probe


def test_every_part_is_timed(compose, monkeypatch):
    monkeypatch.setattr(probe, "PART_SECONDS", 0.01)
    found = probe.probe(compose())
    rates = (found.pretrained, found.sampled, found.learned, found.tuned)
    assert all(10 < rate < 1e7 for rate in rates)
    assert 10 < found.prompt < 64 and found.machine and 0 < found.seconds < 60


def test_units_are_as_many_as_the_time_has_room_for():
    done = []

    def work(count):
        done.append(count)
        return 0.5 * count

    assert probe._units(work, 100) == int(probe.PART_SECONDS / 0.5) and done == [1]
    assert probe._units(work, 3) == 3 and probe._units(lambda count: 60.0, 9) == 1
