"""The report: one page that asks nobody for anything, canonical JSON, and Parquet with every row."""

import dataclasses
import json
import math
import re
from decimal import Decimal
from html import parser
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet as files

from support import made_up_run
from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_engine.measures import inputs, overfitting, registry
from tradeplane_engine.report import content, document, evidence, lines, markup, page, parquet, wording

COUNT = 400


@pytest.fixture(scope="module")
def run() -> inputs.Run:
    """Return a run with everything."""
    return dataclasses.replace(
        made_up_run.full(seed=4, count=COUNT, round_trips=120),
        strategies={"trend": made_up_run.curve(made_up_run.market(9, COUNT))},
    )


@pytest.fixture(scope="module")
def found(run: inputs.Run) -> content.Content:
    """Return its content with all evidence."""
    prices = made_up_run.prices_of(4, COUNT)
    trials = np.random.default_rng(1).normal(0, 0.01, (200, 6))
    return content.build(
        run,
        content.Options(
            title="A <b>bold</b> title & more",
            facts={"result": "sha256:0123", "script": "<script>alert(1)</script>"},
            seed=3,
            draws=50,
            window=21,
            prices=content.Prices("AAA", made_up_run.sessions(COUNT), prices[:, 0]),
            known=evidence.Known(
                trials=evidence.Trials(40, 0.002),
                search=overfitting.probability(trials, blocks=6),
                bar_returns={
                    name: np.diff(prices[:, column]) / prices[:-1, column]
                    for column, name in enumerate(made_up_run.SYMBOLS)
                },
            ),
        ),
    )


def empty() -> inputs.Run:
    """Return a run that never began."""
    curve = inputs.Curve(np.empty(0, np.int64), np.empty(0), 1000.0)
    return inputs.Run(curve=curve, trades=inputs.Trades.none(), fills=inputs.Fills.none())


class _Balanced(parser.HTMLParser):
    """Checks that each tag is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """Open a tag that needs an end."""
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost tag."""
        assert self.open.pop() == tag


def checked(text: str) -> _Balanced:
    """Parse a page whose tags must be balanced."""
    tags = _Balanced()
    tags.feed(text)
    assert tags.open == []
    return tags


def test_the_page_asks_nobody_for_anything(found: content.Content) -> None:
    """No address, no script, no link, no import; and the browser is told to refuse them."""
    text = page.write(found)
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert checked(text).seen.isdisjoint({"script", "link", "iframe", "img", "object", "embed", "form", "base"})


def test_what_the_user_wrote_is_escaped(found: content.Content) -> None:
    """A title or fact with markup is text."""
    text = page.write(found)
    assert "<script" not in text
    assert "<b>bold" not in text
    assert "<i>" not in markup.section("<i>", note="<i>") + markup.figure("<i>", "", legend=[("a", "<i>")])
    assert "<i>" not in markup.table(["<i>"], [["<i>", markup.Cell("<i>")]]) + markup.tiles([("<i>", "<i>", "<i>")])
    assert "A &lt;b&gt;bold&lt;/b&gt; title &amp; more" in text


def test_the_page_has_every_part(found: content.Content) -> None:
    """Each picture and table that a report promises is there."""
    text = page.write(found)
    for part in (
        "Equity, USD", "Drawdown from", "Underwater", "Returns by month", "Sharpe ratio", "Volatility", "Beta to",
        "Exposure, share", "Turnover per month", "Trades on AAA", "Costs", "How sure is this?", "Deflated Sharpe",
        "Random entry", "Probability of overfitting", "By strategy and symbol", "95 % interval", "Max drawdown",
    ):  # fmt: skip
        assert part in text, part
    assert text.count("<svg") >= 10
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower().split()


def test_the_same_run_gives_the_same_bytes(run: inputs.Run) -> None:
    """Page and JSON depend on the run and the seed alone."""
    one, two = (content.build(run, content.Options(seed=1, draws=5)) for _ in range(2))
    assert page.write(one) == page.write(two)
    assert document.write(one) == document.write(two)


def test_a_run_without_anything_has_a_page() -> None:
    """No samples, no trades: no picture, and no number that was made up."""
    found = content.build(empty(), content.Options())
    checked(page.write(found))
    assert json.loads(document.write(found))["measures"]["sharpe"] is None


@pytest.mark.parametrize("values", [[0.01], [0.0] * 40, [0.01, -0.01], [-0.999] * 3])
def test_a_degenerate_run_has_a_page(values: list[float]) -> None:
    """One bar, no variance, or nearly everything lost."""
    run = made_up_run.bare(np.array(values), np.array(values))
    found = content.build(run, content.Options(draws=10, window=2))
    checked(page.write(found))
    json.loads(document.write(found))


def test_json_is_canonical_and_comes_back(found: content.Content) -> None:
    """Reading and writing again gives the same bytes; keys are sorted, without blanks, NaN or infinity."""
    text = document.write(found)

    def refuse(name: str) -> float:
        raise AssertionError(name)

    again = json.loads(text, parse_constant=refuse)
    assert json.dumps(again, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text
    assert again == document.value(found)


def test_money_in_json_is_decimal_text(run: inputs.Run, found: content.Content) -> None:
    """Amounts are text without exponent that gives the float back to 1e-9 USD; other numbers are numbers."""
    value = json.loads(document.write(found))
    assert value["start"] == "1000000"
    assert Decimal(value["measures"]["final_equity"]) == Decimal(repr(float(run.curve.equity[-1]))).quantize(
        Decimal("1e-9")
    )
    assert isinstance(value["measures"]["sharpe"], float)
    assert isinstance(value["measures"]["trades"], int)
    for text in (*value["costs"].values(), *value["equity"]["equity"]["values"], *value["traded"]["trades"]["pnl"]):
        assert re.fullmatch(r"-?\d+(\.\d{1,9})?", text)


@pytest.mark.parametrize(
    "amount, text",
    [
        (0.0, "0"),
        (-0.0, "0"),
        (100.0, "100"),
        (9970123.111129, "9970123.111129"),
        (1e-9, "0.000000001"),
        (-1e-10, "0"),
        (1e22, "10000000000000000000000"),
        (-0.1, "-0.1"),
    ],
)
def test_money_text(amount: float, text: str) -> None:
    """Shortest decimal, never an exponent."""
    assert wording.money(amount) == text


def test_every_measure_is_in_the_json_with_its_unit(found: content.Content) -> None:
    """Programs find what the page shows."""
    value = json.loads(document.write(found))
    assert set(value["measures"]) == set(value["units"]) == set(registry.BY_NAME)
    assert set(value["intervals"]) == {one.name for one in registry.MEASURES if one.redrawn}
    assert [one["name"] for one in value["evidence"]] == [one.name for one in found.findings]


def test_parquet_holds_every_row(run: inputs.Run, found: content.Content, tmp_path: Path) -> None:
    """Trades, fills and curve come back equal, instants as UTC, undefined as null."""
    paths = {path.stem: path for path in parquet.write(run, found, tmp_path)}
    trades = files.read_table(paths["trades"])
    assert trades.column_names == list(run.trades.columns())
    assert trades["pnl"].to_numpy().tolist() == run.trades.pnl.tolist()
    assert str(trades.schema.field("entry_at").type) == "timestamp[ns, tz=UTC]"
    assert files.read_table(paths["fills"]).num_rows == len(run.fills)
    assert files.read_table(paths["curve"])["equity"].to_numpy().tolist() == run.curve.equity.tolist()
    rows = files.read_table(paths["measures"]).to_pylist()
    whole = {row["name"]: row["value"] for row in rows if row["scope"] == "run"}
    assert whole == found.measures
    assert {row["scope"] for row in rows} == {"run", "strategy", "symbol", "year", "month"}


def test_parquet_of_nothing(tmp_path: Path) -> None:
    """A run without rows gives files without rows."""
    run = empty()
    for path in parquet.write(run, content.build(run, content.Options()), tmp_path):
        assert path.stem == "measures" or files.read_table(path).num_rows == 0


@pytest.mark.parametrize("size", [1, 1999, 2000, 2001, 123_457])
def test_thinning_keeps_ends_and_extremes(size: int) -> None:
    """At most 2,000 samples, in order, with first, last, lowest and highest."""
    values = np.random.default_rng(size).normal(size=size)
    rows = lines.kept(values, most=2000)
    assert rows.size <= 2000
    assert (np.diff(rows) > 0).all()
    assert {0, size - 1, int(values.argmin()), int(values.argmax())} <= set(rows.tolist())


def test_thinning_keeps_gaps() -> None:
    """Where nothing is known the pen is lifted."""
    values = np.random.default_rng(2).normal(size=10_000)
    values[2000:4000] = np.nan
    kept = values[lines.kept(values, most=100)]
    assert np.isnan(kept).sum() >= 8
    assert np.isfinite(kept).sum() >= 50


def test_a_million_bars_make_a_small_page() -> None:
    """A minute curve of 1,000,000 bars, as path and unsampled, gives less than 1 MB; its lowest point is kept."""
    returns = made_up_run.market(5, 1_000_000) / 20
    curve = made_up_run.curve(returns)
    curve = inputs.Curve(
        made_up_run.sessions(1)[0] + np.arange(1_000_000) * times.MINUTE,
        curve.equity,
        curve.start,
        gross=np.full(1_000_000, 0.5),
    )
    run = inputs.Run(curve, inputs.Trades.none(), inputs.Fills.none(), path=curve)
    found = content.build(run, content.Options(window=10))
    assert found.draws == 0
    assert len(page.write(found).encode()) < 1_000_000
    assert len(document.write(found).encode()) < 1_000_000
    line = found.equity["equity"]
    assert (line.thinned, line.samples, line.values.min()) == (True, 1_000_000, curve.equity.min())


@pytest.mark.parametrize(
    "span, first",
    [
        (times.MINUTE, "01-02 21:00"),
        (times.HOUR, "2018-01-03"),
        (times.DAY, "2018-01"),
        (7 * times.DAY, "2018"),
    ],
)
def test_ticks_are_calendar_units(span: int, first: str) -> None:
    """Between two and eleven labels, the first one of the unit that fits."""
    at = made_up_run.sessions(1)[0] + np.arange(200) * span
    found = lines.ticks(at)
    assert 2 <= len(found) <= 11
    assert found[0][1].startswith(first)


def test_too_many_trades_are_said(run: inputs.Run) -> None:
    """The picture shows the largest, the note how many there are."""
    many = made_up_run.trades([math.sin(i) * 100 for i in range(900)])
    prices = content.Prices("AAA", made_up_run.sessions(905), np.full(905, 50.0))
    found = content.build(dataclasses.replace(run, trades=many), content.Options(draws=0, prices=prices))
    assert (len(found.traded.trades), found.traded.all_trades) == (150, 225)
    assert "The 150 largest of 225 trades" in page.write(found)


def test_options_are_checked() -> None:
    """A window of one and negative draws are refused by name."""
    with pytest.raises(errors.ValueRefused, match="window"):
        content.Options(window=1)
    with pytest.raises(errors.ValueRefused, match="draws"):
        content.Options(draws=-1)
