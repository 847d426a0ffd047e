"""Bars and corporate actions between their message form (decimal text) and the engine's exact values."""

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_workers import messages


def bar(message: messages.BarMessage) -> bars.Bar:
    """Return the engine's value of a bar message; raises ValueRefused."""
    return bars.Bar(
        symbol=message.symbol,
        start=times.instant(message.start, field="start"),
        end=times.instant(message.end, field="end"),
        available_at=times.instant(message.available_at, field="available_at"),
        open=numbers.price(message.open, field="open"),
        high=numbers.price(message.high, field="high"),
        low=numbers.price(message.low, field="low"),
        close=numbers.price(message.close, field="close"),
        volume=message.volume,
    )


def bar_message(value: bars.Bar) -> messages.BarMessage:
    """Return the message form of a bar."""
    return messages.BarMessage(
        symbol=value.symbol,
        start=times.text(value.start),
        end=times.text(value.end),
        available_at=times.text(value.available_at),
        open=numbers.price_text(value.open),
        high=numbers.price_text(value.high),
        low=numbers.price_text(value.low),
        close=numbers.price_text(value.close),
        volume=value.volume,
    )


def action(message: messages.ActionMessage) -> bars.CorporateAction:
    """Return the engine's value of a corporate action; raises ValueRefused."""
    new, old = message.split.split("/")
    return bars.CorporateAction(
        symbol=message.symbol,
        ex_start=times.instant(message.ex_start, field="ex_start"),
        split=(int(new), int(old)),
        dividend=numbers.money(message.dividend, field="dividend"),
    )


def action_message(value: bars.CorporateAction) -> messages.ActionMessage:
    """Return the message form of a corporate action."""
    return messages.ActionMessage(
        symbol=value.symbol,
        ex_start=times.text(value.ex_start),
        split=f"{value.split[0]}/{value.split[1]}",
        dividend=numbers.money_text(value.dividend),
    )


def bar_slice(message: messages.SliceMessage) -> bars.BarSlice:
    """Return the engine's value of a slice; raises ValueRefused."""
    return bars.BarSlice(
        timeframe=message.timeframe,
        end=times.instant(message.end, field="end"),
        bars={entry.symbol: bar(entry) for entry in message.bars},
        actions=tuple(action(entry) for entry in message.actions),
    )
