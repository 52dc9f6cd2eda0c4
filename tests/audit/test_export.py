"""Exports in every format, and how programs and spreadsheets read them."""

import csv
import json
import random

import attrs
import pyarrow.dataset
import pytest

from lcphone_async import ActiveNumber
from lcphone_async.audit import StoreError, export
from lcphone_async.sandbox import Sandbox
from support.agency import Place, number, pool

HOSTILE = ["=1+1", "+1+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "\uff0b1", "\n=1"]


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def exported(store, tmp_path):
    """An export of the newest run, as the test wants to look at it."""

    def run(kind, **options):
        out = tmp_path / f"out.{kind}"
        export(store, out, kind, **options)
        if kind == "parquet":
            return pyarrow.dataset.dataset(out, partitioning="hive").to_table().to_pylist()
        return read_csv(out) if kind == "csv" else read_jsonl(out)

    return run


async def test_the_columns_and_their_order(take, exported, store, agency, tmp_path):
    """Keeps to the documented columns, in their order."""
    agency.places["a"] = Place([number("+12125550001")])
    await take(agency, ["a"])
    fields = [field.name for field in attrs.fields(ActiveNumber)]
    assert list(exported("jsonl")[0]) == ["location_id", *fields, "pool_ids"]
    flat = {
        "capabilities": [f"capabilities.{can}" for can in ("voice", "sms", "mms", "fax")],
        "inbound_call_service": ["inbound_call_service.type", "inbound_call_service.value"],
    }
    columns = [column for name in fields for column in flat.get(name, [name])]
    assert list(exported("csv")[0]) == ["location_id", *columns, "pool_ids"]
    export(store, tmp_path / "p", "parquet")
    (file,) = (tmp_path / "p").rglob("*.parquet")
    assert file.parent == tmp_path / "p" / "run_id=1" / "country_code=US"
    in_file = [name for name in fields if name != "country_code"]
    assert pyarrow.dataset.dataset(file).schema.names == ["location_id", *in_file, "pool_ids"]


async def test_values_in_json_lines(take, exported, agency):
    """Writes the service's values, nested like the models, with times in UTC."""
    agency.places["a"] = Place(
        [
            number(
                "+12125550001",
                inboundCallService={"type": "ivr", "value": "flow"},
                linkedRingAllUsers=["u1", "u2"],
                new={"a": [1]},
            )
        ],
        [pool("p2", "+12125550001"), pool("p1", "+12125550001")],
    )
    await take(agency, ["a"])
    (row,) = exported("jsonl")
    assert row["capabilities"] == {"voice": True, "sms": True, "mms": True, "fax": False}
    assert row["inbound_call_service"] == {"type": "ivr", "value": "flow"}
    assert row["linked_ring_all_users"] == ["u1", "u2"]
    assert row["extra"] == {"new": {"a": [1]}}
    assert row["pool_ids"] == ["p1", "p2"]
    assert row["date_added"] == "2026-02-23T22:00:52.000000Z"
    assert (row["address_sid"], row["is_default_number"]) == (None, False)


async def test_phone_numbers_stay_text(take, exported, store, agency, tmp_path):
    """Writes numbers as in the responses, quoted in CSV, and never as a formula."""
    agency.places["a"] = Place(
        [number("+12125550001", friendlyName="+12125550001", forwardingNumber="+12125550002")]
    )
    await take(agency, ["a"])
    (row,) = exported("csv")
    assert row["phone_number"] == row["friendly_name"] == "+12125550001"
    assert row["forwarding_number"] == "+12125550002"
    export(store, tmp_path / "raw.csv", "csv")
    assert '"+12125550001"' in (tmp_path / "raw.csv").read_text()
    (parquet,) = exported("parquet")
    assert parquet["phone_number"] == "+12125550001"


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", HOSTILE)
async def test_no_formula_comes_out_of_a_csv(take, exported, agency, name):
    """Puts an apostrophe before a cell that a spreadsheet would run, in CSV alone."""
    agency.places["a"] = Place([number("+12125550001", friendlyName=name, linkedUser=name)])
    await take(agency, ["a"])
    (row,) = exported("csv")
    assert (row["friendly_name"], row["linked_user"]) == ("'" + name, "'" + name)
    assert exported("jsonl")[0]["friendly_name"] == name
    assert exported("parquet")[0]["friendly_name"] == name


async def test_any_text_comes_back_from_csv(take, exported, agency):
    """Quotes a name with lines, quotes and commas."""
    name = 'a "b", c\n\nd; é 𝄞 \x00'
    agency.places["a"] = Place([number("+12125550001", friendlyName=name)])
    await take(agency, ["a"])
    assert exported("csv")[0]["friendly_name"] == name


async def test_another_engine_reads_the_parquet(take, exported, rows):
    """Can be read by pyarrow with every row and value."""
    async with Sandbox(numbers_per_location=500) as sandbox:
        await take(sandbox, ["a", "b"])
    names = ["location_id", "phone_number", "capabilities", "linked_ring_all_users", "extra"]
    query = "SELECT location_id, phone_number, capabilities, linked_ring_all_users, extra"
    told = {tuple(map(str, row)) for row in rows(f"{query} FROM numbers")}
    found = exported("parquet")
    assert len(found) == 1_000
    assert {tuple(str(row[name]) for name in names) for row in found} == told
    assert {row["run_id"] for row in found} == {1}
    assert {row["country_code"] for row in found} == {"US", "CA", "GB", "AU", "DE", "FR"}


async def test_a_country_that_is_a_path_stays_in_its_folder(
    take, exported, store, agency, tmp_path
):
    """Makes folders of countries whose names the service may choose, within `out` alone."""
    agency.places["a"] = Place(
        [number("+12125550001", countryCode="../../x"), number("+12125550002", countryCode=None)]
    )
    await take(agency, ["a"])
    assert {row["country_code"] for row in exported("parquet")} == {"../../x", None}
    assert {path.name for path in tmp_path.iterdir()} == {store.name, "out.parquet"}


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
async def test_the_same_inventory_gives_the_same_bytes(take, tmp_path, kind):
    """Does not depend on the order of the walk, the page sizes or who was faster."""
    contents = []
    async with Sandbox(numbers_per_location=1_500) as sandbox:
        for turn in range(2):
            ids = [f"loc{i}" for i in range(6)]
            random.Random(turn).shuffle(ids)  # noqa: S311  # chance, not secrets
            store, out = tmp_path / f"store{turn}", tmp_path / f"out{turn}"
            await take(sandbox, ids, store, concurrency=6 if turn else 1)
            export(store, out, kind)
            files = sorted(p for p in out.rglob("*") if p.is_file()) if out.is_dir() else [out]
            contents.append([(str(p.relative_to(out)), p.read_bytes()) for p in files])
    assert contents[0] == contents[1]


async def test_every_table_can_be_exported(take, exported, agency):
    """Exports locations with their coverage, pools, their numbers and RCS senders too."""
    agency.places["a"] = Place(
        [number("+12125550001")], [pool("p", "+12125550001")], senders=[{"number": "rcs-1"}]
    )
    agency.errors["b"] = 403
    await take(agency, ["b", "a"])
    for kind in ("csv", "jsonl", "parquet"):
        places = exported(kind, table="locations")
        assert [(place["location_id"], place["coverage"]) for place in places] == [
            ("b", "failed"),
            ("a", "complete"),
        ]
        assert "403" in places[0]["reason"]
        (found,) = exported(kind, table="pools")
        assert (found["pool_id"], found["name"]) == ("p", "Pool p")
        (member,) = exported(kind, table="pool_numbers")
        assert (member["pool_id"], member["phone_number"]) == ("p", "+12125550001")
        (sender,) = exported(kind, table="rcs_sender_ids")
        assert sender["number"] == "rcs-1"


async def test_parts_of_other_runs_stay(take, store, agency, tmp_path):
    """Replaces the part of the run that is exported, and leaves those of other runs."""
    agency.places["a"] = Place([number("+12125550001")])
    await take(agency, ["a"])
    await take(agency, ["a"])
    out = tmp_path / "lake"
    assert [export(store, out, "parquet", run_id=run) for run in (1, 2, 2)] == [1, 1, 1]
    assert {path.name for path in out.iterdir()} == {"run_id=1", "run_id=2"}
    assert pyarrow.dataset.dataset(out, partitioning="hive").count_rows() == 2


async def test_a_failed_export_leaves_what_was_there(take, store, agency, tmp_path):
    """Puts a file in its place when it is whole, and not before."""
    agency.places["a"] = Place([number("+12125550001")])
    await take(agency, ["a"])
    out = tmp_path / "out.csv"
    out.write_text("of last week")
    with pytest.raises(StoreError):
        export(store, out, "csv", run_id=7)
    with pytest.raises(StoreError):
        export(tmp_path / "none", out, "csv")
    (tmp_path / ".out.csv.partial").mkdir()
    with pytest.raises((StoreError, OSError)):
        export(store, out, "csv")
    assert out.read_text() == "of last week"


@pytest.mark.parametrize("options", [{"format": "xls"}, {"format": "csv", "table": "runs; DROP"}])
def test_bad_arguments(store, tmp_path, options):
    """Refuses formats and tables that there are not."""
    with pytest.raises(ValueError, match=r"format|table"):
        export(store, tmp_path / "out", **options)
