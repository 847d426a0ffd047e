"""The gateway's word about trading, as findings."""

from tradeplane_api import names
from tradeplane_operator import conditions, gateway


def halted(state: str, causes: tuple[gateway.Cause, ...]) -> conditions.Finding:
    """TradingHalted from a state and its causes; every word but ``enabled`` halts."""
    kind = names.Condition.TRADING_HALTED
    if state == names.State.ENABLED:
        return conditions.is_false(kind, names.Reason.TRADING_ENABLED)
    strict = [cause for cause in causes if cause.state != names.State.ENABLED]
    reason = names.Reason.SWITCH if strict and strict[0].kind == "switch" else names.Reason.HALTED
    return conditions.is_true(kind, reason, "; ".join(f"{cause.kind}: {cause.message}" for cause in strict))


def unknown() -> conditions.Finding:
    """TradingHalted while nobody answers."""
    return conditions.is_unknown(
        names.Condition.TRADING_HALTED, names.Reason.GATEWAY_UNREACHABLE, "the gateway does not answer"
    )
