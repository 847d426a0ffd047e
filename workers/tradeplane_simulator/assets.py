"""What may be done with a symbol where that is not everything: the assets file."""

import json
import pathlib
from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic

from tradeplane_engine.venue import ticket
from tradeplane_simulator import errors


class Entry(pydantic.BaseModel):
    """One symbol of the assets file; what is left out is as for every other symbol."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, pydantic.StringConstraints(max_length=256)] = ""
    exchange: Literal["AMEX", "ARCA", "BATS", "NYSE", "NASDAQ", "NYSEARCA", "OTC"] = "NASDAQ"
    active: bool = True
    tradable: bool = True
    fractionable: bool = True
    marginable: bool = True
    shortable: bool = True
    easy_to_borrow: bool = True

    def asset(self, symbol: str) -> ticket.Asset:
        """Return it as the venue's rules see it."""
        return ticket.Asset(
            symbol=symbol,
            active=self.active,
            tradable=self.tradable,
            fractionable=self.fractionable,
            marginable=self.marginable,
            shortable=self.shortable,
            easy_to_borrow=self.easy_to_borrow,
        )


ANY = Entry()
_FILE = pydantic.TypeAdapter(dict[str, Entry])


def read(path: pathlib.Path | None) -> Mapping[str, Entry]:
    """Read the assets file, or nothing without one; raises StateRefused naming the field that does not fit."""
    if path is None:
        return {}
    try:
        return _FILE.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise errors.StateRefused(f"assets file: {place}: {first['msg']}, got {first['input']!r}") from error
    except (OSError, ValueError) as error:
        raise errors.StateRefused(f"assets file: {error}") from error
