"""The figures that the documentation shows are those that were measured."""

from benchmarks.report import DOCUMENT, Goal, Section, Table, document, median, paired, shown


def test_the_tables_of_the_performance_page_are_those_of_the_results():
    text = DOCUMENT.read_text()

    assert document(text) == text, "python -m benchmarks --docs"


def test_a_goal_is_met_up_to_its_limit():
    assert Goal("", 8.0, 8.0, "ms").met
    assert not Goal("", 8.1, 8.0, "ms").met
    assert Goal("", 5.0, 5.0, "times", at_least=True).met
    assert not Goal("", 4.9, 5.0, "times", at_least=True).met


def test_a_section_survives_json():
    section = Section(
        "how", [Table("one", ["", "median"], [["a", 1.5], ["b", None]])], [Goal("g", 1, 2, "ms")], ["x"], ["y"]
    )

    assert section == Section.from_json(section.as_json())


def test_a_section_is_shown_with_its_goals_and_gaps():
    section = Section(
        "how", [Table("one", ["", "median"], [["a", 1.25], ["b", None]])], [Goal("g", 3, 2, "ms")], ["no npm"]
    )

    text = shown(section)

    assert "a     1.2" in text
    assert "b       -" in text
    assert "MISSED" in text
    assert "Not measured: no npm" in text


def test_comparisons_are_made_within_a_round():
    assert 2.5 == median([4.0, 1.0, 3.0, 2.0])
    assert 1.0 == paired([11.0, 101.0, 6.0], [10.0, 100.0, 5.0], lambda a, b: a - b)
