"""The audit trail's chain: what its hash covers, and the first entry that each kind of tampering is noticed at."""

import dataclasses
import hashlib

import hypothesis
import pytest
from hypothesis import strategies as st

from support import audit_trails
from tradeplane_workers.audit import chain

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
ENTRIES = st.builds(
    chain.Entry,
    number=st.integers(1, 2**63 - 1),
    recorded=TEXTS,
    writer=TEXTS,
    kind=TEXTS,
    action=TEXTS,
    subject=TEXTS,
    body=TEXTS,
    previous=TEXTS,
    hash=st.just(""),
)


def fields_of(encoded: bytes) -> list[str]:
    """Read netstrings back."""
    found = []
    while encoded:
        length, _, rest = encoded.partition(b":")
        found.append(rest[: int(length)].decode())
        assert rest[int(length) : int(length) + 1] == b","
        encoded = rest[int(length) + 1 :]
    return found


@hypothesis.given(ENTRIES)
def test_an_entry_can_be_read_back_from_its_bytes(entry: chain.Entry) -> None:
    """So no two entries have the same bytes, whatever is in their texts."""
    tag, number, *texts = fields_of(chain.encoded(entry))
    names = [field.name for field in dataclasses.fields(chain.Entry)][1:-1]
    assert tag == "tradeplane-audit-1"
    assert chain.Entry(int(number), **dict(zip(names, texts, strict=True)), hash="") == entry


@hypothesis.given(ENTRIES, ENTRIES)
def test_entries_that_differ_have_different_bytes(one: chain.Entry, other: chain.Entry) -> None:
    """Only equal entries are encoded alike."""
    assert (chain.encoded(one) == chain.encoded(other)) == (one == other)


@hypothesis.given(ENTRIES, st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_the_hash_is_no_part_of_what_it_covers(entry: chain.Entry, digest: str) -> None:
    """Whatever stands in its place."""
    assert chain.encoded(dataclasses.replace(entry, hash=digest)) == chain.encoded(entry)


def test_moving_text_between_fields_changes_the_bytes() -> None:
    """The borders of the fields are part of them."""
    entry = audit_trails.made(1)[0]
    moved = dataclasses.replace(entry, kind=entry.kind + "i", action=entry.action[1:])
    assert moved.kind + moved.action == entry.kind + entry.action
    assert chain.digest(moved) != chain.digest(entry)


def test_the_bytes_are_as_the_documentation_says() -> None:
    """Written out once by hand, with a text whose length in bytes is not its length in characters."""
    entry = chain.Entry(7, "2026-01-05T15:00:00.000001Z", "gw", "halt", "insert", "é", '{"a": 1}', "ab", "")
    expected = (
        '18:tradeplane-audit-1,1:7,27:2026-01-05T15:00:00.000001Z,2:gw,4:halt,6:insert,2:é,8:{"a": 1},2:ab,'.encode()
    )
    assert chain.encoded(entry) == expected
    assert chain.digest(entry) == hashlib.sha256(expected).hexdigest()


def test_a_whole_trail_is_walked_to_its_end() -> None:
    """With heads from its middle and its end."""
    trail = audit_trails.made(6)
    heads = [chain.Head("l", each.number, each.hash) for each in (trail[2], trail[5])]
    walk = audit_trails.walked(trail, *heads)
    assert (walk.number, walk.hash, walk.agreed) == (6, trail[5].hash, 2)
    assert audit_trails.walked([]).number == 0


@pytest.mark.parametrize("field", ["recorded", "writer", "kind", "action", "subject", "body"])
def test_a_changed_entry_is_named(field: str) -> None:
    """Whatever was changed of it."""
    trail = audit_trails.made(6)
    trail[2] = dataclasses.replace(trail[2], **{field: "forged"})
    with pytest.raises(chain.Broken, match=r"^entry 3: was changed") as raised:
        audit_trails.walked(trail)
    assert raised.value.number == 3


def test_a_changed_entry_with_a_new_hash_breaks_the_next() -> None:
    """Which followed what it was before."""
    trail = audit_trails.made(6)
    trail[2] = audit_trails.hashed(dataclasses.replace(trail[2], body="forged"))
    with pytest.raises(chain.Broken, match=r"^entry 4: does not follow the entry before it"):
        audit_trails.walked(trail)


@pytest.mark.parametrize("place", [0, 2])
def test_a_removed_entry_is_missed(place: int) -> None:
    """The first one too."""
    trail = audit_trails.made(6)
    del trail[place]
    with pytest.raises(chain.Broken, match=rf"^entry {place + 1}: is missing: entry {place + 2} comes after {place}"):
        audit_trails.walked(trail)


def test_a_removed_entry_whose_followers_were_renumbered_is_missed() -> None:
    """They follow what is gone."""
    trail = audit_trails.made(6)
    del trail[2]
    renumbered = [
        audit_trails.hashed(dataclasses.replace(each, number=number)) for number, each in enumerate(trail, start=1)
    ]
    with pytest.raises(chain.Broken, match=r"^entry 3: does not follow"):
        audit_trails.walked(renumbered)


def test_an_inserted_entry_is_named() -> None:
    """Under a number that is there already, or between renumbered ones."""
    trail = audit_trails.made(6)
    extra = audit_trails.hashed(dataclasses.replace(trail[2], subject="more", previous=trail[2].hash))
    with pytest.raises(chain.Broken, match=r"^entry 3: is out of place: it comes after 3"):
        audit_trails.walked([*trail[:3], extra, *trail[3:]])
    numbered = audit_trails.hashed(dataclasses.replace(extra, number=4))
    moved = [audit_trails.hashed(dataclasses.replace(each, number=each.number + 1)) for each in trail[3:]]
    with pytest.raises(chain.Broken, match=r"^entry 5: does not follow"):
        audit_trails.walked([*trail[:3], numbered, *moved])


def test_entries_in_another_order_are_named() -> None:
    """As they stand, and with their numbers exchanged."""
    trail = audit_trails.made(6)
    trail[2], trail[3] = trail[3], trail[2]
    with pytest.raises(chain.Broken, match=r"^entry 3: is missing: entry 4 comes after 2"):
        audit_trails.walked(trail)
    trail[2], trail[3] = (
        audit_trails.hashed(dataclasses.replace(each, number=number)) for number, each in ((3, trail[2]), (4, trail[3]))
    )
    with pytest.raises(chain.Broken, match=r"^entry 3: does not follow"):
        audit_trails.walked(trail)


def test_a_cut_end_is_only_seen_by_a_head() -> None:
    """Which names how far the trail went."""
    trail = audit_trails.made(6)
    head = chain.Head("l", 6, trail[5].hash, "the log")
    audit_trails.walked(trail[:4])
    with pytest.raises(chain.Broken, match=r"^entry 5: is missing: the trail went on to entry 6 by the log"):
        audit_trails.walked(trail[:4], head)


def test_a_trail_that_was_written_anew_is_only_seen_by_a_head() -> None:
    """At the first head behind the forgery."""
    trail = audit_trails.made(6)
    heads = [chain.Head("l", each.number, each.hash, "the log") for each in (trail[1], trail[3], trail[5])]
    changed = [*trail[:2], dataclasses.replace(trail[2], body="forged"), *trail[3:]]
    forged = audit_trails.rehashed(changed, start=2)
    audit_trails.walked(forged)
    with pytest.raises(chain.Broken, match=r"^entry 4: was replaced: .* by the log"):
        audit_trails.walked(forged, *heads)
