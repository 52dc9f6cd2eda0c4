"""Lists of locations, as people have them."""

from pathlib import Path

import pytest

from lcphone_async.audit import read_locations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n# all of them\n", []),
        ("abc\n\n  def  \n# ghi\n", [("abc", None), ("def", None)]),
        ("\ufeffabc\r\ndef\r\n", [("abc", None), ("def", None)]),
        ("location_id\nabc\n", [("abc", None)]),
        ("Id,Name\nabc,Dental\ndef,\n", [("abc", "Dental"), ("def", None)]),
        ('name,locationId,x\n"Smith, ""Co""",abc,1\n', [("abc", 'Smith, "Co"')]),
        (
            '{"id": "abc", "name": "Dental"}\n{"location_id": "def"}\n{"_id": "g", "name": 1}\n',
            [("abc", "Dental"), ("def", None), ("g", None)],
        ),
    ],
)
def test_a_list_is_read(text, expected):
    """Reads ids, CSV and JSON lines, as the first line determines."""
    assert [(location.id, location.name) for location in read_locations(text)] == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "no column is called location_id"),
        ("id,name\nabc,x\n,y\n", "row 3 has no location_id"),
        ('{"id": "abc"}\n{"name": "x"}\n', "line 2: no location_id"),
        ('{"id": "abc"}\nnonsense\n', "line 2: not JSON"),
        ('{"id": "abc"}\n["x"]\n', "line 2: not a JSON object"),
        ('{"id": "abc"}\n{"id": ' + "[" * 100_000, "line 2: nested too deeply"),
        ("id,name\nabc," + "x" * 200_000, "row 2: field larger"),
        ("id," + "x" * 200_000, "row 1: field larger"),
    ],
)
def test_a_list_that_cannot_be_read(text, problem):
    """Names the list and the line with the error."""
    with pytest.raises(ValueError, match=f"mine: .*{problem}|mine, .*{problem}"):
        read_locations(text, "mine")


@pytest.mark.parametrize(
    "name", ["locations.csv", "agency/locations", "C:\\agency\\all.TXT", "./a", "all.jsonl"]
)
def test_the_name_of_a_file_is_no_list(name):
    """Is refused, with the words that would read the file."""
    with pytest.raises(ValueError, match="name of a file") as refused:
        read_locations(name)
    assert f"Path({name!r})" in str(refused.value)


def test_a_file_is_read(tmp_path):
    """Is read from a path, with or without a byte order mark; errors name it."""
    file = tmp_path / "locations.csv"
    file.write_text("location_id,name\nabc,Dental\n", encoding="utf-8-sig")
    (location,) = read_locations(file)
    assert (location.id, location.name) == ("abc", "Dental")
    file.write_bytes(b"location_id\n\xff\n")
    with pytest.raises(ValueError, match=r"locations\.csv: not UTF-8"):
        read_locations(file)
    with pytest.raises(FileNotFoundError):
        read_locations(Path("no such file.csv"))
